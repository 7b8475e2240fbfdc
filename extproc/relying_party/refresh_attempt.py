"""RefreshAttempt: one refresh of one session, from the store's lock to the write."""

import logging
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import trio

from extproc import background, telemetry
from extproc.core.application import Application
from extproc.core.errors import Refusal, SessionTooLarge, StoreUnavailable
from extproc.core.http import Request
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.token import RefreshResponse, refresh_grant
from extproc.core.provider_errors import (
    CodeRefused,
    InvalidAnswer,
    InvalidIDToken,
    InvalidTokenResponse,
    SubjectMismatch,
    UnverifiedToken,
)
from extproc.core.refresh import carried_over, due, looked_up, renewed
from extproc.core.session import Session
from extproc.provider.client import Provider
from extproc.relying_party.identity_log import log_omissions
from extproc.relying_party.newer_keys import verified
from extproc.relying_party.pending_writes import PendingWrites
from extproc.relying_party.renewed_write import FIRST_PAUSE, RenewedWrite
from extproc.relying_party.revocation import Tokens, revoke_tokens
from extproc.sessions.interfaces import Sessions

WRITE_TIMEOUT = (
    4.0  # seconds for the write and for the release of the lock, even after the deadline
)
LONGEST_PAUSE = 0.5  # seconds, to which the pauses between two tries at the lock grow
OWNER_BYTES = 16

# Checks of an ID token that fail for everybody while a clock is wrong, the processor's or the
# provider's.
_CHECKS_OF_TIME = ("expired", "issued_at", "not_before")


class Ended(Exception):
    """The refresh showed that the session is over; `reason` and `detail` are for the log."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


@dataclass(slots=True, eq=False)
class RefreshAttempt:
    """One attempt to renew the tokens of one session.

    Args:
        application: The session's application.
        provider: The application's provider.
        request: The request whose session it is.
        original: The session as the request showed it.
        sessions: Where sessions are kept.
        pending_writes: What earlier attempts could not write.
        now: Returns the time, in seconds since the epoch.
        stale: Newer claims are needed, although the tokens may not be due.

    Attributes:
        session: The session as far as it is known to be kept; None once it is over.
        owner: Who holds the session's lock; of an earlier attempt if that could not release it.
    """

    application: Application
    provider: Provider
    request: Request
    original: Session
    sessions: Sessions = field(repr=False)
    pending_writes: PendingWrites = field(repr=False)
    now: Callable[[], int] = field(repr=False)
    stale: bool = False
    session: Session | None = field(init=False)
    owner: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pending = self.pending_writes.get(self.original.id.key)
        self.session = self.original
        self.owner = pending.owner if pending is not None else secrets.token_bytes(OWNER_BYTES)

    # -- the lock ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def locked(self, seconds: int) -> AsyncIterator[Session | None]:
        """Wait for the session's lock, load the session again and decide again.

        Yields the session if its tokens are still due. Yields None if not: then the lock may
        belong to the process that has just renewed them.

        Args:
            seconds: How long the lock lasts if it is never released.

        Raises:
            StoreUnavailable: The store cannot answer.
        """
        try:
            yield await self._due_session(seconds)
        finally:
            # Released whatever happens: after an error it is unknown whether the lock was given.
            await self._unlock()

    async def _due_session(self, seconds: int) -> Session | None:
        pause = FIRST_PAUSE
        while not await self.sessions.lock(self.original, self.owner, seconds, self.now()):
            await trio.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            if await self._load_if_due() is None:
                return None
        await self._make_pending_write()
        return await self._load_if_due()

    async def _load_if_due(self) -> Session | None:
        with telemetry.span("store get"):
            # The mark is read first: another process writes the newer generation before the mark,
            # so that a reader of the mark finds the newer generation too.
            superseded = await self.sessions.superseded(self.original, self.now())
            current = await self.sessions.load_again(self.application, self.original, self.now())
        self.session = current
        if current is None or not self._is_due(current):
            return None
        if superseded and current.generation == self.original.generation:
            # A newer generation is in another copy of these cookies, and only that may be renewed.
            telemetry.log(logging.INFO, "session_superseded", application=self.application.name)
            self.session = None
            return None
        return current

    def _is_due(self, current: Session) -> bool:
        """Return whether the tokens have to be renewed, and nobody has done that meanwhile."""
        if self.stale and current.access_issued <= self.original.access_issued:
            return True
        return due(self.application, current, self.now())

    async def _make_pending_write(self) -> None:
        """Write what an earlier attempt could not, unless the store has something newer by now."""
        key = self.original.id.key
        pending = self.pending_writes.get(key)
        if pending is None:
            return
        current = await self.sessions.load_again(self.application, self.original, self.now())
        if current is not None and pending.session.recency >= current.recency:
            await self._write(pending.session, current)
        self.pending_writes.drop(key)

    async def _unlock(self) -> None:
        with trio.move_on_after(WRITE_TIMEOUT, shield=True):
            try:
                await self.sessions.unlock(self.original, self.owner)
            except StoreUnavailable as error:
                # The lock ends by itself.
                telemetry.log(
                    logging.WARNING, "not_unlocked", reason=error.reason, detail=error.detail
                )

    # -- the call ----------------------------------------------------------------------------------

    async def renew(self, session: Session) -> bool:
        """Call the provider, check its answer and write the session.

        Returns:
            True if this attempt has renewed the session; False if another process was faster,
            whose session counts.

        Raises:
            Ended: The session is over.
            Refusal: The tokens were not renewed, or not all of the answer could be used.
        """
        # The keys come first, because an answer that cannot be checked would waste the refresh
        # token.
        keys = await self.provider.keys()
        answer = await self._grant(session)
        if answer is None:
            return False
        new, problem = await self._checked(session, answer, keys)
        if not await self._keep(new, answer):
            return False
        if problem is not None:
            raise problem
        if self.application.userinfo_at_refresh:
            await self._look_up(new, answer, keys)
        log_omissions(self.application, self.session or new, session)
        return True

    async def _grant(self, session: Session) -> RefreshResponse | None:
        """Use the refresh token; None if another process has used it first, and renewed the
        session.
        """
        grant = refresh_grant(self.application.client, session.refresh_token or "")
        try:
            return await self.provider.refresh(grant)
        except CodeRefused as error:
            if await self._renewed_elsewhere(session):
                # The lock was lost: another process used the same refresh token, and was faster.
                return None
            raise Ended("refresh_refused", error.detail) from error
        except InvalidTokenResponse as error:
            # The old refresh token may be worth nothing by now.
            for hint, token in reversed(error.tokens):
                if hint == "refresh_token":
                    kept = carried_over(session, token)
                    await self._keep(kept, kept)
                    break
            raise

    async def _checked(
        self, session: Session, answer: RefreshResponse, keys: KeySet
    ) -> tuple[Session, Refusal | None]:
        """Return the renewed session. If the answer cannot be checked, return the problem too, and
        a session in which only the refresh token is new: the old one may be worth nothing by now.
        """
        try:
            return await self._renewed(session, answer, keys), None
        except Refusal as error:
            if _shows_another_login(error):
                await self._revoke(answer)
                raise Ended(error.reason, error.detail) from error
            problem = error
        except Exception as error:
            background.bug("refresh_failed", error)
            problem = InvalidAnswer(type(error).__qualname__)
        except trio.Cancelled:
            # No time is left for the check.
            await self._keep(carried_over(session, answer.refresh_token), answer)
            raise
        return carried_over(session, answer.refresh_token), problem

    async def _renewed(self, session: Session, answer: RefreshResponse, keys: KeySet) -> Session:
        def verify(keys: KeySet) -> Session:
            return renewed(self.application, session, answer, keys, self.now())

        return await verified(self.provider, keys, verify)

    async def _look_up(self, new: Session, answer: RefreshResponse, keys: KeySet) -> None:
        """Update the claims from UserInfo, once the tokens are kept. A failure changes nothing.

        Raises:
            Ended: UserInfo is of another user.
        """
        try:
            userinfo = await self.provider.userinfo(answer.access_token)
            if userinfo is None:
                return
            look_up = partial(looked_up, self.application, new, userinfo)
            updated = await verified(self.provider, keys, look_up)
        except SubjectMismatch as error:
            await self._revoke(answer)
            raise Ended(error.reason, error.detail) from error
        except Refusal as error:
            telemetry.log(
                logging.WARNING,
                "userinfo_failed",
                application=self.application.name,
                reason=error.reason,
                detail=error.detail,
            )
            return
        if updated != new:
            await self._keep(updated, answer)

    async def _revoke(self, tokens: Tokens) -> None:
        await revoke_tokens(self.provider, self.application.client, tokens)

    # -- the write ---------------------------------------------------------------------------------

    async def _keep(self, new: Session, tokens: Tokens) -> bool:
        """Write the session. Return whether the store has it, and not what another process made.

        If the session is over, or too large, the tokens that came for it are revoked; where another
        process was faster they are left alone, because revoking one token makes many providers
        revoke all tokens of the session.

        Raises what _write raises, and Ended.
        """
        try:
            kept = await self._write(new, self.session or self.original)
        except SessionTooLarge as error:
            await self._revoke(tokens)
            raise Ended(error.reason, error.detail) from error
        except Exception:
            # The store is away, or there is a bug: now only this process has the new tokens.
            self.session = new
            self.pending_writes.put(new, self.owner)
            raise
        if kept is None:
            # The user signed out meanwhile, and that stays.
            await self._revoke(tokens)
            raise Ended("ended_meanwhile")
        self.session = kept
        return kept == new

    async def _write(self, new: Session, earlier: Session) -> Session | None:
        write = RenewedWrite(
            self.application, self.request, self.sessions, self.owner, WRITE_TIMEOUT, self.now
        )
        return await write.make(new, earlier)

    async def _renewed_elsewhere(self, session: Session) -> bool:
        """Return whether the store has a newer state of the session, which becomes this one's."""
        current = await self.sessions.load_again(self.application, session, self.now())
        if current is None or current.recency <= session.recency:
            return False
        self.session = current
        return True


def _shows_another_login(error: Refusal) -> bool:
    """Return whether an ID token was refused for what it says, not for a clock. One whose signature
    could not be verified says nothing.
    """
    if isinstance(error, UnverifiedToken) or not isinstance(error, InvalidIDToken):
        return False
    return error.check not in _CHECKS_OF_TIME
