"""The whole session in the browser: sealed, compressed, in at most four cookies of data. There is
no record of it anywhere else.

- The session cookie has the session's id, as where sessions are in a store. A login alone sets it,
  and only an end takes it away.
- Data cookies have the rest, sealed with the id: `data-NAME.HANDLE.GENERATION.PIECE`. A generation
  begins with each renewal of the tokens. Names tell sessions and generations apart, so whatever an
  answer sets late lies beside what is there and replaces nothing: the session is what the session
  cookie names, as the newest generation has it that is whole.
- A cookie of its own has the last use, since that changes with every other minute's request:
  `used-NAME.HANDLE`.

The plaintext is compressed, then sealed, and the sealed text is cut in pieces; so what is opened
was authenticated as a whole before anything of it is inflated, and pieces of two generations open
nothing. The first piece says how many there are: `3.PIECE`.
"""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from extproc.core.application import Application
from extproc.core.errors import SessionTooLarge
from extproc.core.http import Cookie, Request
from extproc.core.sealing import Label
from extproc.core.session import Session, SessionId, only, session_ids
from extproc.core.session_record import MAX_SEALED, check_identity, dump, load

PIECES = 4  # at most, of one generation
CHUNK = 3800  # bytes of one cookie's value; browsers keep 4096 of name and value
MAX_GENERATIONS = 4  # of one session that are looked at
_HEAD = re.compile(rf"([1-{PIECES}])\.([A-Za-z0-9_-]+)", re.ASCII)
_NUMBERS = re.compile(rf"([0-9]{{1,9}})\.([0-{PIECES - 1}])", re.ASCII)  # generation and piece
_TOUCHED = 8  # bytes
_PIECE = CHUNK - 2


def _label(application: Application, session_id: SessionId, purpose: str) -> Label:
    return Label(purpose, application.name, session_id.key.hex(), secret=session_id.value.encode())


def session_cookie(application: Application, session: Session, now: int) -> Cookie:
    """What a login sets, in every kind of store."""
    names = application.cookies
    return Cookie(names.session, session.id.cookie, names.secure, session.expires - now)


def session_cookies(
    application: Application, request: Request, session: Session, now: int, entropy: bytes
) -> tuple[Cookie, ...]:
    """What a login sets where sessions are in cookies. entropy: 44 random bytes. Raises
    SessionTooLarge.
    """
    data = data_cookies(application, request, session, now, entropy)
    return (session_cookie(application, session, now), *data)


def data_cookies(
    application: Application, request: Request, session: Session, now: int, entropy: bytes
) -> tuple[Cookie, ...]:
    """This generation of a session, and the expiry of what this browser has of others. entropy: 44
    random bytes.

    Raises SessionTooLarge.
    """
    check_identity(application, session)
    plain = dump(session)
    if len(plain) > MAX_SEALED:
        raise SessionTooLarge(f"the session has {len(plain)} bytes; {MAX_SEALED} are allowed")
    # the last use is not compressed: what fitted at the login fits each time
    touched = session.touched.to_bytes(_TOUCHED, "big")
    label = _label(application, session.id, "session data")
    sealed = application.ring.seal(touched + zlib.compress(plain), label, entropy)
    pieces = [sealed[start : start + _PIECE] for start in range(0, len(sealed), _PIECE)]
    if len(pieces) > PIECES:
        allowed = f"{PIECES} cookies of {CHUNK}; set store.kind to sqlite or redis"
        raise SessionTooLarge(f"the session has {len(sealed)} bytes sealed, more than {allowed}")
    pieces[0] = f"{len(pieces)}.{pieces[0]}"
    names = application.cookies
    generation = f"{names.data(session.id.handle)}{session.generation}."
    set_now = tuple(
        Cookie(f"{generation}{number}", piece, names.secure, session.expires - now)
        for number, piece in enumerate(pieces)
    )
    return set_now + left_over(application, request, session)


def used_cookie(application: Application, session: Session, now: int, entropy: bytes) -> Cookie:
    """Writes down the last use of a session. entropy: 44 random bytes."""
    label = _label(application, session.id, "last use")
    sealed = application.ring.seal(now.to_bytes(_TOUCHED, "big"), label, entropy)
    names = application.cookies
    return Cookie(names.used(session.id.handle), sealed, names.secure, session.expires - now)


def data_names(application: Application, request: Request) -> tuple[str, ...]:
    """The names of this browser's cookies with data or the last use of a session of this
    application, of whichever session.
    """
    ours = dict.fromkeys(
        name for name, _ in request.cookies if name.startswith(application.cookies.of_sessions)
    )
    return tuple(name for name in ours if request.cookie(name) is not None)


def left_over(application: Application, request: Request, session: Session) -> tuple[Cookie, ...]:
    """Expires what this browser has of other sessions, and of older generations of this one."""
    names = application.cookies

    def stays(name: str) -> bool:
        numbers = _NUMBERS.fullmatch(name.removeprefix(names.data(session.id.handle)))
        of_this = numbers is not None and int(numbers[1]) >= session.generation
        return of_this or name == names.used(session.id.handle)

    return tuple(
        names.expired(name) for name in data_names(application, request) if not stays(name)
    )


def read_session(application: Application, request: Request) -> Session | None:
    """None: no session cookie, or none whose data is whole, ours, and of this application."""
    return only(
        _read(application, request, session_id) for session_id in session_ids(application, request)
    )


def _read(application: Application, request: Request, session_id: SessionId) -> Session | None:
    """The newest generation of a session that opens, with its last use."""
    for sealed in _sealed(application, request, session_id):
        label = _label(application, session_id, "session data")
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
    """The whole generations of a session, the newest first."""
    generations: dict[int, dict[int, str]] = {}
    prefix = application.cookies.data(session_id.handle)
    for name, _ in request.cookies:
        numbers = _NUMBERS.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None
        if numbers is not None and (value := request.cookie(name)) is not None:
            generations.setdefault(int(numbers[1]), {})[int(numbers[2])] = value
    for number in sorted(generations, reverse=True)[:MAX_GENERATIONS]:
        if (sealed := _joined(generations[number])) is not None:
            yield sealed


def _joined(pieces: Mapping[int, str]) -> str | None:
    head = _HEAD.fullmatch(pieces.get(0, ""))
    if head is None:
        return None
    rest = [pieces.get(number, "") for number in range(1, int(head[1]))]
    return "".join((head[2], *rest)) if all(rest) else None


def _last_use(application: Application, request: Request, session_id: SessionId) -> int:
    value = request.cookie(application.cookies.used(session_id.handle))
    opened = application.ring.open(
        value or "", _label(application, session_id, "last use"), limit=CHUNK
    )
    return int.from_bytes(opened, "big") if opened is not None else 0


def _inflate(data: bytes) -> bytes | None:
    """At most MAX_SEALED bytes; None for more, or for what is no whole zlib stream."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_SEALED)
    except zlib.error:
        return None
    return plain if stream.eof and not stream.unused_data else None
