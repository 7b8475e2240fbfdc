"""TokenRefresh: renews the tokens of a session once, however many requests need them.

In this process all requests of a session wait for one attempt; among processes the store's lock
allows one. An attempt locks the session, loads it again, decides again, calls the provider, checks
the answer and writes. It is shielded from its client's leaving, and what it wrote counts even if no
client receives the answer, because a used refresh token may be worth nothing any more.

Only a clear answer ends a session: the provider refuses the refresh token for good, answers with a
verified ID token that fails a check, or with another user. So does a session that became too large,
or a logout meanwhile. After any other failure the session stays as it is, and nothing is tried
again for a while. An ID token whose signature cannot be verified says nothing, so it ends nothing.
"""

import logging
import math
from collections.abc import Callable
from functools import partial

import trio

from extproc import background, telemetry
from extproc.concurrency import shielded_until_deadline
from extproc.core.application import Application
from extproc.core.errors import Refusal, StoreUnavailable
from extproc.core.http import Request
from extproc.core.provider_errors import ProviderTimeout
from extproc.core.session import Session
from extproc.metrics import Metrics
from extproc.provider.client import Provider
from extproc.relying_party.backoff import Backoff
from extproc.relying_party.pending_writes import PendingWrites
from extproc.relying_party.refresh_attempt import WRITE_TIMEOUT, Ended, RefreshAttempt
from extproc.relying_party.single_flight import SingleFlight
from extproc.sessions.interfaces import Sessions

LONGEST = 60.0  # seconds of an attempt whose client has no deadline
FIRST_BACKOFF = 10  # seconds without another attempt after a failure, doubled each time
LAST_BACKOFF = 60
REMEMBERED = 10_000  # sessions whose failures and pending writes are remembered


class TokenRefresh:
    """Renews tokens; one for all applications of a process.

    Args:
        sessions: Where sessions are kept.
        now: Returns the time, in seconds since the epoch.
        metrics: Where refreshes are counted; default: nowhere.
    """

    def __init__(
        self, sessions: Sessions, now: Callable[[], int], metrics: Metrics | None = None
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._metrics = metrics or Metrics()
        self._flights = SingleFlight[bytes, Session | None]()
        self._backoff = Backoff[bytes](FIRST_BACKOFF, LAST_BACKOFF, REMEMBERED)
        self._pending_writes = PendingWrites(REMEMBERED)

    def backing_off(self, session: Session) -> bool:
        """Return whether a refresh failed so lately that none must be tried yet."""
        return self._backoff.active(session.id.key, self._now())

    async def refresh(
        self,
        application: Application,
        provider: Provider,
        request: Request,
        session: Session,
        *,
        stale: bool = False,
    ) -> Session | None:
        """Return the session with new tokens; as it was if none can be had now; None if it is over.

        Args:
            application: The session's application.
            provider: The application's provider.
            request: The request whose session it is.
            session: The session as the request showed it.
            stale: Newer claims are needed, although the tokens may not be due.

        Raises:
            RuntimeError: The attempt that this request waited for met a bug.
        """
        # A client that has left begins no attempt.
        await trio.lowlevel.checkpoint_if_cancelled()
        return await self._flights.run(
            session.id.key, partial(self._fly, application, provider, request, session, stale=stale)
        )

    async def _fly(
        self,
        application: Application,
        provider: Provider,
        request: Request,
        session: Session,
        *,
        stale: bool,
    ) -> Session | None:
        """Make one attempt. Never raises: a failure that does not end the session is logged."""
        attempt = RefreshAttempt(
            application,
            provider,
            request,
            session,
            self._sessions,
            self._pending_writes,
            self._now,
            stale,
        )
        with telemetry.span("refresh"):
            try:
                await self._settle(attempt)
            except Exception as error:
                # A bug signs no user out, and refuses no request whose tokens are still good.
                background.bug("refresh_failed", error)
                self._back_off(attempt, Refusal(type(error).__qualname__))
        return attempt.session

    async def _settle(self, attempt: RefreshAttempt) -> None:
        """Make the attempt under its deadline and draw the consequence of its outcome."""
        started = trio.current_time()
        deadline = min(trio.current_effective_deadline(), started + LONGEST)
        lock_life = math.ceil(deadline - started + WRITE_TIMEOUT) + 1
        try:
            with shielded_until_deadline(deadline):
                await self._attempt(attempt, lock_life)
            self._backoff.succeeded(attempt.original.id.key)
        except Ended as ended:
            attempt.session = None
            await self._end(attempt, ended)
        except trio.TooSlowError:
            self._back_off(attempt, ProviderTimeout("the tokens could not be renewed in time"))
        except Refusal as error:
            self._back_off(attempt, error)

    async def _attempt(self, attempt: RefreshAttempt, lock_life: int) -> None:
        """Lock, load again, decide again, call, check, write.

        Raises:
            Ended: The session is over.
            Refusal: The tokens were not renewed.
        """
        async with attempt.locked(lock_life) as session:
            if session is None or not await attempt.renew(session):
                return
            application, provider = attempt.application.name, attempt.provider.name
            self._metrics.refreshed(provider, "renewed")
            telemetry.log(logging.INFO, "refreshed", application=application, provider=provider)

    async def _end(self, attempt: RefreshAttempt, ended: Ended) -> None:
        self._metrics.refreshed(attempt.provider.name, "ended")
        telemetry.log(
            logging.INFO,
            "session_ended",
            application=attempt.application.name,
            provider=attempt.provider.name,
            reason=ended.reason,
            detail=ended.detail or None,
            user=attempt.original.user(attempt.application),
        )
        with trio.move_on_after(WRITE_TIMEOUT, shield=True):
            try:
                await self._sessions.end(attempt.original, self._now())
            except StoreUnavailable as error:
                # The next request meets the provider's refusal again.
                telemetry.log(
                    logging.WARNING, "not_ended", reason=error.reason, detail=error.detail
                )

    def _back_off(self, attempt: RefreshAttempt, error: Refusal) -> None:
        self._metrics.refreshed(attempt.provider.name, "failed")
        seconds = self._backoff.failed(attempt.original.id.key, self._now())
        telemetry.log(
            logging.WARNING,
            "not_refreshed",
            application=attempt.application.name,
            provider=attempt.provider.name,
            reason=error.reason,
            detail=error.detail or None,
            again_after=seconds,
        )
