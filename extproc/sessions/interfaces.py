"""Where sessions are kept. A store knows records (opaque bytes under a key, found by tags), not
what is in them.

Every method that is awaited is awaited in trio, and raises StoreUnavailable when the store cannot
answer in time: that is never "no session", "not locked" or "not buried". What is past its end is as
if it were not there, and the store removes it by itself. Times are seconds since the epoch; `now`
is the caller's clock (a store may trust its own instead).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.http import Cookie, Request
from extproc.core.session import Session
from extproc.core.session_record import Record


class WouldBlock(Exception):
    """A peek cannot answer at once; ask again in the held lane. Never "no session"."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, in no order that means anything; `after` asks for those that follow, None:
    there are none.
    """

    records: tuple[Record, ...]
    after: bytes | None


class Revocations(Protocol):
    """What happens once, and what is over: marks that live until `expires`. Part of every store;
    shared among processes where it is.
    """

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        """Marks a login attempt, or a logout token's jti, as used. True for exactly one caller,
        also among several processes.
        """

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        """Sessions of this key (a session's own, or a tag) that were created at `at` or before are
        over. Never moves back.
        """

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        """buried() without waiting, on the event loop. Raises WouldBlock when it would wait, always
        where the store is remote.
        """

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        """The latest `at` of these keys, 0 when none of them is buried."""

    @property
    def missing(self) -> str | None:
        """Why it cannot be used right now, for the operator, or None."""

    async def start(self) -> None:
        """Begins what goes on in the background, such as connecting. Without it the first that is
        asked begins it.
        """

    async def aclose(self) -> None:
        """Closes what is open."""


class SessionStore(Revocations, Protocol):
    """Sessions as records."""

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        """A keyed read without waiting, on the event loop. Raises WouldBlock when it would wait,
        always where the store is remote.
        """

    async def get(self, key: bytes, now: int) -> Record | None:
        """The record, or None when there is none or it is past its end."""

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        """Writes a record, and deletes another in the same transaction (where the store has one:
        else first writes, then deletes).
        """

    async def touch(self, key: bytes, now: int) -> None:
        """Last use of a session. Never moves back; nothing when the session is gone."""

    async def delete(self, key: bytes) -> None:
        """Ends a session; no error when it is gone already."""

    async def tagged(self, tag: bytes, now: int) -> tuple[Record, ...]:
        """The sessions that carry a tag, newest use first."""

    async def end(self, tag: bytes, now: int) -> int:
        """Ends every session that carries the tag; how many there were."""

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        """Sessions, about `limit` at once: each that is there from the first page to the last comes
        at least once. None begins.
        """

    async def count(self, now: int) -> int | None:
        """How many sessions there are, roughly; None where that could not be known cheaply."""

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        """The right to change a session, for so long. One holder at a time among all processes; the
        holder itself renews it.

        key: a session's, or any other. The session need not be there.
        """

    async def unlock(self, key: bytes, owner: bytes) -> None:
        """Gives it back; nothing when somebody else has it by now."""

    async def replace(self, record: Record, owner: bytes, now: int) -> bool:
        """Writes what its holder changed, tags included: only if the session is still there and
        `holder` still has its lock, in one step.

        So a logout during a refresh is never undone. The later of both `touched` stays. The lock
        stays too.
        """


class Sessions(Protocol):
    """How a browser's session is found, kept and ended: in a store under an id, or whole in its
    cookies.
    """

    @property
    def revocations(self) -> Revocations:
        """Single-use markers and revocations: part of the store, or beside cookies."""

    def find_nowait(self, application: Application, request: Request, now: int) -> Session | None:
        """The session of this browser, without waiting, on the event loop. Raises WouldBlock. Its
        limits are not looked at.
        """

    async def find(self, application: Application, request: Request, now: int) -> Session | None:
        """The same, with waiting."""

    def shown(self, application: Application, request: Request, now: int) -> bool:
        """Whether this browser shows a session that we made and that has not come to its own end,
        ended or not.

        False where a store has sessions: of one that was ended it has nothing.
        """

    async def create(
        self,
        application: Application,
        request: Request,
        session: Session,
        device: Device,
        replaces: Session | None,
    ) -> tuple[Cookie, ...]:
        """Keeps a new session in place of another of the same browser; the cookies that it is to
        have.

        Raises SessionTooLarge, and SignedOutMeanwhile when end_tagged() was faster: nothing is kept
        then, and in cookies nothing ended.
        """

    def touch_cookies(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        """The cookies that write down a session's last use; none where touch() does."""

    def renewed(
        self, application: Application, request: Request, session: Session, now: int
    ) -> tuple[Cookie, ...]:
        """The cookies of a session whose tokens were renewed; none where a store has it."""

    async def superseded(self, session: Session, now: int) -> bool:
        """Whether a newer generation of it was made elsewhere: then this one must not be renewed,
        and nothing ends for its sake.

        False where a store has the one there is.
        """

    async def touch(self, application: Application, session: Session, now: int) -> None:
        """Writes down a session's last use, and seals anew what an older key sealed; nothing where
        the cookies of touch_cookies() do.
        """

    async def lock(self, session: Session, owner: bytes, seconds: int, now: int) -> bool:
        """The right to change it, see SessionStore; always given where nothing is shared among
        processes.
        """

    async def unlock(self, session: Session, owner: bytes) -> None:
        """Gives it back."""

    async def load_again(
        self, application: Application, session: Session, now: int
    ) -> Session | None:
        """The session as it is by now; None: it is over."""

    async def replace(
        self, application: Application, request: Request, session: Session, owner: bytes, now: int
    ) -> bool:
        """Keeps what the holder of its lock changed. False: it is over, which stays so. Raises
        SessionTooLarge.

        Where sessions are in cookies, those of renewed() are to follow.
        """

    async def end(self, session: Session, now: int) -> None:
        """Ends it, whoever has its cookies."""

    async def end_tagged(self, tags: Sequence[bytes], now: int, until: int) -> int | None:
        """Ends every session that carries one of the tags, and those that are about to begin with
        one.

        until: when the last of them would end by itself. How many there were; None where nobody can
        know.
        """

    async def end_stored(self, tags: Sequence[bytes], now: int) -> int | None:
        """Ends those that the store has, and leaves no mark: anybody may ask for it without filling
        the store.
        """

    async def tagged(self, tags: Sequence[bytes], now: int) -> tuple[Record, ...] | None:
        """The sessions that carry one of the tags, each once; None where nobody can list them: that
        is not "there are none".
        """

    async def delete_many(self, keys: Sequence[bytes]) -> None:
        """Ends the sessions of these records, which tagged() gave."""

    async def count(self, now: int) -> int | None:
        """See SessionStore; None where they are in cookies."""

    @property
    def shared(self) -> bool:
        """Whether what ends here has ended for every process, also after a restart."""

    @property
    def missing(self) -> str | None:
        """See Revocations."""

    async def start(self) -> None:
        """See Revocations."""

    async def aclose(self) -> None:
        """Closes what is open."""
