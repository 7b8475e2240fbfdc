"""TokenRefresh: the tokens of a session are renewed once, whoever asks, and everybody who asks is
served with the result.

One flight per session in this process; among processes the lock of the store. In a flight: lock,
reload, decide again, call, write, answer. It is shielded from its client's leaving, and what was
written counts even when nobody is there to hear of it: a refresh token that was used may be worth
nothing any more.

Only the provider's clear refusal ends a session. Whatever else goes wrong leaves it as it is, for a
while without another try.
"""

import logging
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from extproc import background, telemetry
from extproc.core.application import Application
from extproc.core.errors import (
    CodeRefused,
    InvalidAnswer,
    InvalidIDToken,
    ProviderTimeout,
    Refusal,
    SessionTooLarge,
    StoreUnavailable,
    SubjectMismatch,
    UnknownKey,
)
from extproc.core.http import Request
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.token import RefreshResponse, refresh_grant
from extproc.core.refresh import carried_over, due, looked_up, renewed
from extproc.core.session import Session
from extproc.metrics import Metrics
from extproc.provider.client import Provider
from extproc.relying_party.revocation import revoke_tokens
from extproc.sessions.interfaces import Sessions

LONGEST = 60.0  # seconds of a flight, where its client has no deadline
WRITE = 4.0  # seconds for the write, the deadline or not
FIRST_PAUSE, LAST_PAUSE = 0.05, 0.5  # seconds between two looks at what another process makes of it
# seconds without another try after a failure, doubled each time
FIRST_BACKOFF, LAST_BACKOFF = 10, 60
BACKING_OFF = 10_000  # sessions of which that is remembered
# checks that fail for everybody while a clock is wrong, ours or the provider's
BY_CLOCK = (
    "expired",
    "issued_at",
    "not_before",
)


class Ended(Exception):
    """The session is over; reason is for the log."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass(slots=True, eq=False)
class InFlight:
    """One refresh under way. session: as far as it is known to be kept; None when it is over."""

    application: Application
    provider: Provider
    request: Request
    session: Session | None
    owner: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)
    done: trio.Event = field(default_factory=trio.Event)
    broken: bool = True  # until it has landed without a bug


class TokenRefresh:
    """now: seconds since the epoch."""

    def __init__(
        self, sessions: Sessions, now: Callable[[], int], metrics: Metrics | None = None
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._metrics = metrics or Metrics()
        self._in_flight: dict[bytes, InFlight] = {}
        self._backing_off: dict[bytes, tuple[int, int]] = {}  # until when, and how long
        # what could not be written, with the holder of its lock, which could not be given back
        self._pending_writes: dict[bytes, tuple[Session, bytes]] = {}

    def backing_off(self, session: Session) -> bool:
        """Whether a refresh failed a moment ago: then no other is tried yet."""
        left = self._backing_off.get(session.id.key, (0, 0))[0] - self._now()
        return 0 < left <= LAST_BACKOFF  # a clock that was set back makes no rest longer

    async def refresh(
        self, application: Application, provider: Provider, request: Request, session: Session
    ) -> Session | None:
        """The session with new tokens, or as it was where none can be had now, or None when it is
        over.
        """
        key = session.id.key
        await trio.lowlevel.checkpoint_if_cancelled()  # whose client has left begins none
        in_flight = self._in_flight.get(key)
        if in_flight is not None:
            await in_flight.done.wait()
            if in_flight.broken:
                raise RuntimeError("the refresh that was waited for met a bug")
            return in_flight.session
        in_flight = self._in_flight[key] = InFlight(application, provider, request, session)
        if key in self._pending_writes:
            in_flight.owner = self._pending_writes[key][1]
        try:
            with telemetry.span("refresh"):
                await self._run(in_flight, session)
            in_flight.broken = False
        finally:
            del self._in_flight[key]
            in_flight.done.set()
        return in_flight.session

    async def _run(self, in_flight: InFlight, session: Session) -> None:
        """Never raises: trouble is logged, and leaves the session as it is."""
        try:
            await self._run_once(in_flight, session)
        except Exception as error:
            # a bug signs nobody out, and fails nobody whose tokens are still good
            background.bug("refresh_failed", error)
            self._back_off(in_flight, session, Refusal(type(error).__qualname__))

    async def _run_once(self, in_flight: InFlight, session: Session) -> None:
        deadline = min(trio.current_effective_deadline(), trio.current_time() + LONGEST)
        try:
            with trio.fail_at(deadline, shield=True):
                await self._in_turn(
                    in_flight, session, math.ceil(deadline - trio.current_time() + WRITE) + 1
                )
            self._backing_off.pop(session.id.key, None)
        except Ended as over:
            in_flight.session = None
            await self._end(in_flight, session, over)
        except trio.TooSlowError:
            self._back_off(
                in_flight, session, ProviderTimeout("the tokens could not be renewed in time")
            )
        except Refusal as error:
            self._back_off(in_flight, session, error)

    async def _in_turn(self, in_flight: InFlight, session: Session, seconds: int) -> None:
        """With the session's lock; without it as soon as another process has renewed it. seconds:
        the life of the lock.
        """
        try:
            if (current := await self._locked(in_flight, session, seconds)) is not None:
                await self._renew(in_flight, current)
        finally:  # also where nobody knows whether it was given
            await self._unlock(in_flight, session)

    async def _locked(self, in_flight: InFlight, session: Session, seconds: int) -> Session | None:
        """Waits for the lock; the session as it is then, if its tokens are still due."""
        pause = FIRST_PAUSE
        while not await self._sessions.lock(session, in_flight.owner, seconds, self._now()):
            await trio.sleep(pause)
            pause = min(pause * 1.5, LAST_PAUSE)
            if await self._due_now(in_flight, session) is None:
                return None
        await self._write_late(in_flight, session)
        return await self._due_now(in_flight, session)

    async def _due_now(self, in_flight: InFlight, session: Session) -> Session | None:
        """Reloads and decides again."""
        with telemetry.span("store get"):
            # the mark first: whoever renews a session writes the newer one before the mark, so
            # behind a mark it is there
            superseded = await self._sessions.superseded(session, self._now())
            current = await self._sessions.load_again(in_flight.application, session, self._now())
        in_flight.session = current
        if current is None or not due(in_flight.application, current, self._now()):
            return None
        if superseded and current.generation == session.generation:
            telemetry.log(
                logging.INFO, "session_superseded", application=in_flight.application.name
            )
            # a newer generation lives on, in another copy of these cookies
            in_flight.session = None
            return None
        return current

    async def _write_late(self, in_flight: InFlight, session: Session) -> None:
        """With the lock: what could not be written at the last try, unless there is something newer
        by now. Raises StoreUnavailable.
        """
        key = session.id.key
        if key not in self._pending_writes:
            return
        pending, _ = self._pending_writes[key]
        current = await self._sessions.load_again(in_flight.application, session, self._now())
        if current is not None and pending.recency >= current.recency:
            await self._write(in_flight, pending)
        del self._pending_writes[key]

    async def _renew(self, in_flight: InFlight, session: Session) -> None:
        """The call and the write. Raises Ended, Refusal."""
        application, provider = in_flight.application, in_flight.provider
        # before anything is used up: an answer that cannot be checked would be lost
        keys = await provider.keys()
        try:
            answer = await provider.refresh(
                refresh_grant(application.client, session.refresh_token or "")
            )
        except CodeRefused as error:
            raise Ended("refresh_refused", error.detail) from error
        trouble: Refusal | None = None
        try:
            new = await self._checked(in_flight, session, answer, keys)
        except Refusal as error:
            if (
                isinstance(error, InvalidIDToken)
                and not isinstance(error, UnknownKey)
                and error.check not in BY_CLOCK
            ):
                await revoke_tokens(provider, application.client, answer)
                raise Ended(error.reason, error.detail) from error
            new, trouble = carried_over(session, answer), error
        except Exception as error:
            # a bug; the refresh token is new all the same, and the old one may be worth nothing
            background.bug("refresh_failed", error)
            new, trouble = carried_over(session, answer), InvalidAnswer(type(error).__qualname__)
        except trio.Cancelled:  # too late to check it; the refresh token is new all the same
            await self._keep(in_flight, carried_over(session, answer), answer)
            raise
        await self._keep(in_flight, new, answer)
        if trouble is not None:
            raise trouble
        if application.userinfo_at_refresh:
            await self._look_up(in_flight, new, answer, keys)
        self._metrics.refreshed(provider.name, "renewed")
        telemetry.log(
            logging.INFO, "refreshed", application=application.name, provider=provider.name
        )

    async def _checked(
        self, in_flight: InFlight, session: Session, answer: RefreshResponse, keys: KeySet
    ) -> Session:
        """The session with what the answer says. Raises Refusal."""
        try:
            return renewed(in_flight.application, session, answer, keys, self._now())
        except UnknownKey:
            newer = await in_flight.provider.newer_keys()
        return renewed(in_flight.application, session, answer, newer, self._now())

    async def _look_up(
        self, in_flight: InFlight, new: Session, answer: RefreshResponse, keys: KeySet
    ) -> None:
        """UserInfo again, once the tokens are kept. Another user's ends the session; trouble
        changes nothing. Raises Ended.
        """
        application, provider = in_flight.application, in_flight.provider
        try:
            userinfo = await provider.userinfo(answer.access_token)
            known = looked_up(application, new, userinfo, keys) if userinfo is not None else new
        except SubjectMismatch as error:
            await revoke_tokens(provider, application.client, answer)
            raise Ended(error.reason, error.detail) from error
        except Refusal as error:
            telemetry.log(
                logging.WARNING,
                "userinfo_failed",
                application=application.name,
                reason=error.reason,
                detail=error.detail,
            )
            return
        if known != new:
            await self._keep(in_flight, known, answer)

    async def _keep(self, in_flight: InFlight, new: Session, answer: RefreshResponse) -> None:
        try:
            kept = await self._write(in_flight, new)
        except SessionTooLarge as error:
            await revoke_tokens(in_flight.provider, in_flight.application.client, answer)
            raise Ended(error.reason, error.detail) from error
        except Exception:
            # a store that is away, or a bug: what could not be written is known here alone
            in_flight.session = new
            self._pending_writes[new.id.key] = new, in_flight.owner
            raise
        if not kept:  # a logout came meanwhile, and stays
            await revoke_tokens(in_flight.provider, in_flight.application.client, answer)
            raise Ended("ended_meanwhile")
        in_flight.session = new

    async def _write(self, in_flight: InFlight, new: Session) -> bool:
        """Tried again while there is time: what is written here exists nowhere else. Raises
        StoreUnavailable, SessionTooLarge.
        """
        failed: StoreUnavailable | None = None
        with trio.move_on_after(WRITE, shield=True), telemetry.span("store replace"):
            while True:
                try:
                    return await self._sessions.replace(
                        in_flight.application, in_flight.request, new, in_flight.owner, self._now()
                    )
                except StoreUnavailable as error:
                    failed = error
                await trio.sleep(FIRST_PAUSE)
        raise failed or StoreUnavailable("the renewed tokens could not be written in time")

    async def _unlock(self, in_flight: InFlight, session: Session) -> None:
        with trio.move_on_after(WRITE, shield=True):
            try:
                await self._sessions.unlock(session, in_flight.owner)
            except StoreUnavailable as error:  # it ends by itself
                telemetry.log(
                    logging.WARNING, "not_unlocked", reason=error.reason, detail=error.detail
                )

    async def _end(self, in_flight: InFlight, session: Session, over: Ended) -> None:
        self._metrics.refreshed(in_flight.provider.name, "ended")
        telemetry.log(
            logging.INFO,
            "session_ended",
            application=in_flight.application.name,
            provider=in_flight.provider.name,
            reason=over.reason,
            detail=over.detail or None,
        )
        with trio.move_on_after(WRITE, shield=True):
            try:
                await self._sessions.end(session, self._now())
            except StoreUnavailable as error:  # the next request comes to the same end
                telemetry.log(
                    logging.WARNING, "not_ended", reason=error.reason, detail=error.detail
                )

    def _back_off(self, in_flight: InFlight, session: Session, error: Refusal) -> None:
        self._metrics.refreshed(in_flight.provider.name, "failed")
        before = self._backing_off.pop(session.id.key, (0, FIRST_BACKOFF // 2))[1]
        seconds = min(before * 2, LAST_BACKOFF)
        self._backing_off[session.id.key] = (self._now() + seconds, seconds)
        for remembered in (self._backing_off, self._pending_writes):
            if len(remembered) > BACKING_OFF:
                remembered.pop(next(iter(remembered)))
        telemetry.log(
            logging.WARNING,
            "not_refreshed",
            application=in_flight.application.name,
            provider=in_flight.provider.name,
            reason=error.reason,
            detail=error.detail or None,
            again_after=seconds,
        )
