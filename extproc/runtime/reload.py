"""Settings read again while they are in use: at SIGHUP, and when their file, or a file of a secret
that they name, has changed.

The rules:
- Whatever cannot be read or used leaves what runs as it is, with one line that says why.
- Another key of the ring begins in two steps: at first it opens and is published, everywhere, and
  the one before goes on sealing. When all workers know it, and Envoy has had the time to fetch it,
  it seals and signs.
- Keys and client secrets are taken in place: nothing is restarted for them.
"""

import logging
from typing import Protocol

import trio

from extproc import telemetry
from extproc.metrics.reloads import Reloads
from extproc.settings import Settings, SettingsError, Source, differences, introduced, with_secrets

EVERY = 1.0  # seconds between two looks at the files
FETCH = 2.0  # seconds that Envoy's fetch of the keys may take, with another try


class NotTaken(Exception):
    """Settings that are right, and still cannot be used; its text is for the operator."""


class Reloadable(Protocol):
    """What runs with the settings. In trio."""

    reloads: Reloads

    def check(self, old: Settings, new: Settings) -> None:
        """Raises SettingsError where nothing of the new ones can be used."""

    async def take(self, settings: Settings) -> None:
        """Takes what differs: the key ring and the client secrets. When it returns, every worker
        has them.
        """

    async def replace(self, old: Settings, new: Settings) -> Settings:
        """Takes settings that differ in more, or the same from scratch; those that it has now.
        Raises NotTaken.
        """


class SettingsReload:
    """settings: those in use, with their secrets in them."""

    def __init__(self, source: Source, settings: Settings, running: Reloadable) -> None:
        self.settings = settings
        self._source, self._running = source, running
        self._asked = trio.Event()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with trio.move_on_after(EVERY):
                await self._asked.wait()
            if asked := self._asked.is_set():
                self._asked = trio.Event()  # asked again while this goes on: once more afterwards
            if asked or self._source.changed():
                await self._reload(asked)

    async def ask(self) -> None:
        """SIGHUP."""
        self._asked.set()

    async def _reload(self, asked: bool) -> None:
        try:
            new = with_secrets(self._source.load())
            if new == self.settings and not asked:
                return
            telemetry.log(logging.INFO, "reloading")
            await self._take(new, asked)
        except (SettingsError, NotTaken) as error:
            telemetry.log(logging.ERROR, "not_reloaded", detail="; ".join(str(error).splitlines()))
            self._running.reloads.failed()
        except Exception as error:
            # a file that went between two looks at it, or a bug: nothing to end anything for
            telemetry.log(
                logging.ERROR, "not_reloaded", exc_info=error, detail=type(error).__name__
            )
            self._running.reloads.failed()

    async def _take(self, new: Settings, asked: bool) -> None:
        self._running.check(self.settings, new)
        if (between := introduced(self.settings, new)) is not None:
            await self._running.take(between)
            self.settings = between
            seconds = (
                between.identity.keys_refresh + FETCH if between.identity.assertion_lifetime else 0
            )
            telemetry.log(
                logging.INFO,
                "key_published",
                detail="it seals and signs from then on",
                after=seconds,
            )
            await trio.sleep(seconds)
        if asked or differences(self.settings, new):
            self.settings = await self._running.replace(self.settings, new)
        else:
            await self._running.take(new)
            self.settings = new
            telemetry.log(logging.INFO, "reloaded", detail="keys and client secrets")
            self._running.reloads.done()
