"""Settings are read again while they are in use: at SIGHUP, and when their file, or a file of a
secret that they name, has changed.

The rules:
- Settings that cannot be read or used change nothing. One line in the log says why.
- A new first key of the ring is introduced in two steps. At first every worker can decrypt with it
  and it is published, while the old first key still encrypts and signs. When all workers know it,
  and Envoy has had the time to fetch it, it encrypts and signs.
- Keys and client secrets are taken in place: nothing is restarted for them.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import trio

from extproc import telemetry
from extproc.metrics.reloads import Reloads
from extproc.settings import Settings, SettingsError, Source, differences, introduced, with_secrets

EVERY = 1.0  # seconds between two looks at the files
FETCH = 2.0  # seconds that Envoy's fetch of the keys may take, with one retry

Check = Callable[[Settings, Settings], None]


class NotTaken(Exception):
    """Settings are valid but cannot be used. The text is for the operator."""


class Reloadable(Protocol):
    """What runs with the settings. Lives in trio."""

    reloads: Reloads

    async def update_keys(self, settings: Settings) -> None:
        """Takes settings that differ in the key ring and client secrets alone. Returns when every
        worker uses them.
        """

    async def replace(self, old: Settings, new: Settings) -> Settings:
        """Takes settings that differ in more, or starts again with the same ones.

        Returns the settings in use afterwards. Raises NotTaken.
        """


class SettingsReload:
    """Watches the settings of a running processor and replaces them.

    settings: those in use, with their secrets.
    """

    def __init__(
        self, source: Source, settings: Settings, running: Reloadable, check: Check | None = None
    ) -> None:
        """Starts nothing.

        Args:
            source: the settings as files.
            settings: those that `running` uses now, with their secrets.
            running: what uses the settings.
            check: raises SettingsError if the new settings (second) cannot follow the old ones
                (first) without a restart.
        """
        self.settings = settings
        self._source = source
        self._running = running
        self._check = check
        self._asked = trio.Event()

    async def run(self) -> None:
        """Looks at the files at intervals, until it is cancelled."""
        while True:
            with trio.move_on_after(EVERY):
                await self._asked.wait()
            asked = self._asked.is_set()
            if asked:
                # Asked again during this reload means one more reload afterwards.
                self._asked = trio.Event()
            if asked or self._source.changed():
                await self._reload(asked)

    async def ask(self) -> None:
        """Reads the settings again even if no file has changed (SIGHUP)."""
        self._asked.set()

    async def _reload(self, asked: bool) -> None:
        try:
            new = with_secrets(self._source.load())
            if new == self.settings and not asked:
                return
            telemetry.log(logging.INFO, "reloading")
            await self._apply(new, asked)
        except (SettingsError, NotTaken) as error:
            telemetry.log(logging.ERROR, "not_reloaded", detail="; ".join(str(error).splitlines()))
            self._running.reloads.failed()
        except Exception as error:
            # A file that vanished between two looks at it, or a bug: neither ends the processor.
            telemetry.log(
                logging.ERROR, "not_reloaded", exc_info=error, detail=type(error).__name__
            )
            self._running.reloads.failed()

    async def _apply(self, new: Settings, asked: bool) -> None:
        if self._check is not None:
            self._check(self.settings, new)
        intermediate = introduced(self.settings, new)
        if intermediate is not None:
            await self._introduce(intermediate)
        if asked or differences(self.settings, new):
            self.settings = await self._running.replace(self.settings, new)
        else:
            await self._running.update_keys(new)
            self.settings = new
            telemetry.log(logging.INFO, "reloaded", detail="keys and client secrets")
            self._running.reloads.done()

    async def _introduce(self, intermediate: Settings) -> None:
        """Publishes a new key, and waits until Envoy has fetched it."""
        await self._running.update_keys(intermediate)
        self.settings = intermediate
        identity = intermediate.identity
        seconds = identity.keys_refresh + FETCH if identity.assertion_lifetime else 0
        telemetry.log(
            logging.INFO,
            "key_published",
            detail="it encrypts and signs after that time",
            after=seconds,
        )
        await trio.sleep(seconds)
