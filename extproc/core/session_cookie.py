"""The cookies of a session, and the cookie store: a whole session in the browser, compressed and
sealed, in at most four data cookies.

- The session cookie holds the session's id, in every kind of store. Only a login sets it, and only
  the end of the session removes it.
- Data cookies hold the rest, sealed with the id: `data-NAME.HANDLE.GENERATION.PIECE`. Each renewal
  of the tokens begins a new generation. The names keep sessions and generations apart, so a cookie
  that a late response sets replaces nothing. The session is the one that the session cookie names,
  in its newest complete generation.
- A cookie of its own holds the last use, `used-NAME.HANDLE`, because the last use changes with
  every other minute's request.

The plaintext is compressed, then sealed, and the sealed text is cut into pieces. So the data is
authenticated as a whole before any of it is decompressed, and pieces of two generations open
nothing. The first piece begins with the number of pieces: `3.PIECE`.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.errors import SessionTooLarge
from extproc.core.http import Request
from extproc.core.session import Session, SessionId, only, session_ids, session_label
from extproc.core.session_record import MAX_SEALED, check_identity, dump, load

# the most pieces of one generation
PIECES = 4
# bytes of one cookie's value; browsers keep 4096 bytes of name and value
CHUNK = 3800
# the most generations of one session that are opened
MAX_GENERATIONS = 4
# what the data cookies, and the cookie of the last use, are sealed as
DATA, LAST_USE = "session data", "last use"
_HEAD = re.compile(rf"([1-{PIECES}])\.([A-Za-z0-9_-]+)", re.ASCII)
# generation and piece
_NUMBERS = re.compile(rf"([0-9]{{1,9}})\.([0-{PIECES - 1}])", re.ASCII)
# bytes of a time
_TOUCHED = 8
# characters of sealed text in one cookie; the number of pieces takes two
_PIECE = CHUNK - 2


def session_cookie(application: Application, session: Session, now: int) -> Cookie:
    """The cookie with the session's id, which a login sets in every kind of store."""
    names = application.cookies
    return Cookie(names.session, session.id.cookie, names.secure, session.expires - now)


def session_cookies(
    application: Application, request: Request, session: Session, now: int, entropy: bytes
) -> tuple[Cookie, ...]:
    """All cookies that a login sets if sessions are kept in cookies.

    Args:
        application: the application that the session is for.
        request: the request of the login, for the cookies of other sessions that it carries.
        session: the session.
        now: seconds since the epoch.
        entropy: 44 random bytes.

    Raises:
        SessionTooLarge: the session does not fit into the cookies.
    """
    data = data_cookies(application, request, session, now, entropy)
    return (session_cookie(application, session, now), *data)


def data_cookies(
    application: Application, request: Request, session: Session, now: int, entropy: bytes
) -> tuple[Cookie, ...]:
    """The data cookies of a session's generation, and the expiry of those of other sessions and
    older generations.

    Args:
        application: the application that the session is for.
        request: a request of the browser, for the cookies that it carries.
        session: the session.
        now: seconds since the epoch.
        entropy: 44 random bytes.

    Raises:
        SessionTooLarge: the session does not fit into the cookies.
    """
    check_identity(application, session)
    plain = dump(session)
    if len(plain) > MAX_SEALED:
        raise SessionTooLarge(f"the session has {len(plain)} bytes; {MAX_SEALED} are allowed")
    # the last use is not compressed, so a session that fitted at the login always fits
    touched = session.touched.to_bytes(_TOUCHED, "big")
    label = session_label(application, session.id, DATA)
    sealed = application.ring.seal(touched + zlib.compress(plain), label, entropy)
    names = application.cookies
    generation = f"{names.data(session.id.handle)}{session.generation}."
    pieces = tuple(
        Cookie(f"{generation}{number}", piece, names.secure, session.expires - now)
        for number, piece in enumerate(_pieces(sealed))
    )
    return pieces + left_over(application, request, session)


def _pieces(sealed: str) -> list[str]:
    """Cut sealed text into the values of data cookies. Raises SessionTooLarge."""
    pieces = [sealed[start : start + _PIECE] for start in range(0, len(sealed), _PIECE)]
    if len(pieces) > PIECES:
        allowed = f"{PIECES} cookies of {CHUNK}; set store.kind to sqlite or redis"
        raise SessionTooLarge(f"the session has {len(sealed)} bytes sealed, more than {allowed}")
    pieces[0] = f"{len(pieces)}.{pieces[0]}"
    return pieces


def used_cookie(application: Application, session: Session, now: int, entropy: bytes) -> Cookie:
    """The cookie that holds the last use of a session.

    Args:
        application: the application that the session is for.
        session: the session.
        now: the last use, in seconds since the epoch.
        entropy: 44 random bytes.
    """
    label = session_label(application, session.id, LAST_USE)
    sealed = application.ring.seal(now.to_bytes(_TOUCHED, "big"), label, entropy)
    names = application.cookies
    return Cookie(names.used(session.id.handle), sealed, names.secure, session.expires - now)


def data_names(application: Application, request: Request) -> tuple[str, ...]:
    """The names of the request's cookies that hold data or the last use of any session of the
    application.

    Cookies that came with several values are left out.
    """
    names = dict.fromkeys(
        name for name, _ in request.cookies if name.startswith(application.cookies.of_sessions)
    )
    return tuple(name for name in names if request.cookie(name) is not None)


def left_over(application: Application, request: Request, session: Session) -> tuple[Cookie, ...]:
    """The expiry of the request's cookies of other sessions, and of older generations of this
    session.
    """
    names = application.cookies

    def stays(name: str) -> bool:
        numbers = _NUMBERS.fullmatch(name.removeprefix(names.data(session.id.handle)))
        is_current = numbers is not None and int(numbers[1]) >= session.generation
        return is_current or name == names.used(session.id.handle)

    return tuple(
        names.expired(name) for name in data_names(application, request) if not stays(name)
    )


def read_session(application: Application, request: Request) -> Session | None:
    """Read the session of a request from its cookies.

    None without a session cookie, and if no complete, authentic data of the application belongs to
    it.
    """
    return only(
        _read(application, request, session_id) for session_id in session_ids(application, request)
    )


def _read(application: Application, request: Request, session_id: SessionId) -> Session | None:
    """The newest generation of a session that opens, with its last use."""
    label = session_label(application, session_id, DATA)
    for sealed in _sealed(application, request, session_id):
        opened = application.ring.open(sealed, label, limit=PIECES * CHUNK)
        plain = _inflate(opened[_TOUCHED:]) if opened is not None else None
        if opened is None or plain is None:
            continue
        touched = int.from_bytes(opened[:_TOUCHED], "big")
        session = load(plain, session_id, touched, outdated=not application.ring.newest(sealed))
        if session is not None:
            return replace(
                session, touched=max(touched, _last_use(application, request, session_id))
            )
    return None


def _sealed(application: Application, request: Request, session_id: SessionId) -> Iterator[str]:
    """The complete generations of a session, the newest first."""
    generations: dict[int, dict[int, str]] = {}
    prefix = application.cookies.data(session_id.handle)
    for name, _ in request.cookies:
        numbers = _NUMBERS.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if numbers is None:
            continue
        value = request.cookie(name)
        if value is not None:
            generations.setdefault(int(numbers[1]), {})[int(numbers[2])] = value
    for number in sorted(generations, reverse=True)[:MAX_GENERATIONS]:
        sealed = _joined(generations[number])
        if sealed is not None:
            yield sealed


def _joined(pieces: Mapping[int, str]) -> str | None:
    """Put the pieces of a generation together; None if one is missing."""
    head = _HEAD.fullmatch(pieces.get(0, ""))
    if head is None:
        return None
    rest = [pieces.get(number, "") for number in range(1, int(head[1]))]
    return "".join((head[2], *rest)) if all(rest) else None


def _last_use(application: Application, request: Request, session_id: SessionId) -> int:
    """Seconds since the epoch; 0 without a valid cookie."""
    value = request.cookie(application.cookies.used(session_id.handle))
    label = session_label(application, session_id, LAST_USE)
    opened = application.ring.open(value or "", label, limit=CHUNK)
    return int.from_bytes(opened, "big") if opened is not None else 0


def _inflate(data: bytes) -> bytes | None:
    """Decompress at most MAX_SEALED bytes; None for more, and for an incomplete zlib stream."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_SEALED)
    except zlib.error:
        return None
    return plain if stream.eof and not stream.unused_data else None
