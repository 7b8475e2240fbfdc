"""The interface to the sessions of browsers, in a store under an id or whole in cookies.

Every method that is awaited runs in trio, and raises StoreUnavailable when the store cannot answer
in time; a missing answer never counts as "no session". Times are seconds since the epoch; `now` is
the caller's clock.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from extproc.core import revocation
from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.device import Device
from extproc.core.http import Request
from extproc.core.session import Session, SessionId
from extproc.core.session_record import Record
from extproc.core.session_selection import Selection
from extproc.sessions.store import LISTED, Locks, Replaced, Revocations

# Seconds from the provider's response to the session of the login, at most. A revocation that has
# to reach logins in progress is kept for so long.
LOGIN_COMPLETES_WITHIN = 3600


class Sessions(Protocol):
    """Finds, keeps and ends the sessions of browsers: in a store under an id, or whole in cookies.

    Implementations inherit from it, and with it what concerns `revocations` alone.
    """

    # Part of the store, or beside cookies.
    revocations: Revocations
    # Locks among the logins of a user; None if no login can find the session of another.
    locks: Locks | None

    @property
    def missing(self) -> str | None:
        """Why the store cannot be used right now, for the operator; None if it can."""
        return self.revocations.missing

    async def start(self) -> None:
        """Begin background work such as connecting; otherwise the first operation begins it."""
        await self.revocations.start()

    async def aclose(self) -> None:
        """Close files and connections."""
        await self.revocations.aclose()

    @property
    def shared(self) -> bool:
        """Whether a session that ends here has ended for every process, also after a restart."""

    def find_nowait(self, application: Application, request: Request, now: int) -> Session | None:
        """Answer find() on the event loop. Raises WouldBlock."""

    async def find(self, application: Application, request: Request, now: int) -> Session | None:
        """Find the session of this browser, without a look at its age limits."""

    def shown(self, application: Application, request: Request, now: int) -> bool:
        """Whether this browser shows a session that has not expired, even if it was ended.

        Always False for sessions in a store, which keeps nothing of a session that was ended.
        """

    async def create(
        self,
        application: Application,
        request: Request,
        session: Session,
        device: Device,
        replaces: Session | None,
    ) -> tuple[Cookie, ...]:
        """Keep a new session.

        Args:
            application: that the user signed in to.
            request: the callback, with the browser's cookies.
            session: the new session.
            device: the browser, for lists of sessions.
            replaces: an earlier session of this browser, which ends.

        Returns:
            The cookies that the browser is to have.

        Raises:
            SessionTooLarge: nothing is kept, and `replaces` lives on.
            SignedOutMeanwhile: end_tagged() was faster; nothing is kept, and `replaces` lives on
                if sessions are in cookies.
        """

    async def with_ids(
        self, application: Application, ids: Sequence[SessionId], now: int
    ) -> tuple[Session, ...]:
        """Find the sessions with these ids, without a look at their age limits.

        None where sessions are in cookies, because only their browsers have them.
        """

    def cookies_again(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        """Make the cookies of a session that with_ids() found, as create() made them."""

    def touch_cookies(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        """Make the cookies that record a session's last use; none if touch() does."""

    def renewed(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        """Make the cookies of a session whose tokens were renewed; none if a store has it."""

    async def superseded(self, session: Session, now: int) -> bool:
        """Whether another request already made a newer generation of this session.

        Then this one must neither be renewed nor be a reason to end anything. Always False for
        sessions in a store, which has the newest generation alone.
        """

    async def touch(self, application: Application, session: Session, now: int) -> None:
        """Record a session's last use, and seal it again if an older key sealed it.

        Without effect if touch_cookies() does it.
        """

    async def lock(self, session: Session, owner: bytes, seconds: int, now: int) -> bool:
        """Take the right to change a session, as Locks.lock().

        Always given if nothing is shared among processes.
        """

    async def unlock(self, session: Session, owner: bytes) -> None:
        """Give up the right to change a session."""

    async def load_again(
        self, application: Application, session: Session, now: int
    ) -> Session | None:
        """Load the current state of a session; None if it has ended."""

    async def replace(
        self, application: Application, request: Request, session: Session, owner: bytes, now: int
    ) -> Replaced:
        """Keep what the owner of the session's lock changed.

        If sessions are in cookies, the caller must send the cookies of renewed() as well.

        Returns:
            As SessionStore.replace(): a session that is GONE has ended, which stays so.

        Raises:
            SessionTooLarge: nothing was kept.
        """

    def revoked_at_nowait(self, keys: Sequence[bytes], now: int) -> int:
        """Answer revoked_at() on the event loop. Raises WouldBlock."""
        return revocation.read(self.revocations.revoked_before_nowait(keys, now))

    async def revoked_at(self, keys: Sequence[bytes], now: int) -> int:
        """Give the latest time at which one of these keys was revoked, in milliseconds since the
        epoch; 0 if none was.
        """
        return revocation.read(await self.revocations.revoked_before(keys, now))

    async def revoke(self, key: bytes, now: float, expires: int) -> None:
        """Revoke the sessions of a key that were created up to now, to the millisecond.

        Args:
            key: a session's own key, a tag, or a mark.
            now: the caller's clock, with its fraction of a second.
            expires: until when the revocation is kept.
        """
        await self.revocations.revoke_before(key, revocation.written(now), expires)

    async def end(self, session: Session, now: int) -> None:
        """End a session, for every copy of its cookies."""

    async def end_selected(self, selection: Selection, now: float, until: int) -> int | None:
        """End the sessions of a selection, and logins in progress that would belong to it.

        Arguments and result are those of end_tagged().
        """

    async def end_tagged(self, tags: Sequence[bytes], now: float, until: int) -> int | None:
        """End every session that carries one of the tags, and logins in progress that would.

        Args:
            tags: of a user, or of a session at the provider, for each key of the ring.
            now: sessions that are created later live on; counts to the millisecond.
            until: when the last of these sessions expires by itself.

        Returns:
            How many sessions ended; None if that cannot be known.
        """

    async def end_everything(self, now: float) -> int | None:
        """End every session that was created up to now; of those in a store, later ones as well.

        Returns:
            How many sessions ended; None if that cannot be known.
        """

    async def end_stored(
        self, tags: Sequence[bytes], now: int, spare: Collection[bytes] = ()
    ) -> int | None:
        """End the sessions with one of the tags that a store has, and leave no revocation.

        So unauthenticated clients may cause it without filling the store.

        Args:
            tags: as for end_tagged().
            now: the caller's clock.
            spare: keys of sessions that live on.

        Returns:
            How many sessions ended; None if there is no store of sessions.
        """

    async def tagged(
        self, tags: Sequence[bytes], now: int, limit: int = LISTED
    ) -> tuple[Record, ...] | None:
        """List sessions that carry one of the tags, each once, the most recently used first.

        The records have no inner layer, and there are at most `limit`. None if sessions cannot be
        listed, which does not mean that there are none.
        """

    async def delete_many(self, keys: Sequence[bytes]) -> None:
        """End the sessions of these records, which tagged() gave."""

    async def count(self, now: int) -> int | None:
        """Count the sessions, roughly; None if that would be expensive or is impossible."""
