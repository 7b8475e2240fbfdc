"""The whole session in the browser: sealed, compressed, in at most four cookies. There is no record of it anywhere else.

The plaintext is compressed, then sealed, and the sealed text is cut in pieces; so what is opened was authenticated as a whole before
anything of it is inflated, and pieces of two generations open nothing. The first cookie says how many there are: `3.PIECE`; its name
is that of a session id's cookie, those of the others end in .1, .2, .3. What is left over from a longer session is not looked at, and
expired with the next answer that sets any.

Both limits are inside the seal, so the last use is written anew by setting the cookies again.
"""

import re
import zlib

from extproc.oidc.application import Application
from extproc.oidc.errors import SessionTooLarge
from extproc.oidc.http import SESSION_COOKIES, Cookie, Request
from extproc.oidc.seal import Label
from extproc.oidc.session import MAX_SEALED, Session, SessionId, dump, load

CHUNK = 3800  # bytes of one cookie's value; browsers keep 4096 of name, value and attributes
_HEAD = re.compile(rf"([1-{SESSION_COOKIES}])\.([A-Za-z0-9_-]+)", re.ASCII)
_ID = 43  # characters of a session id
_TOUCHED = 8  # bytes
_PIECE = CHUNK - 2


def _label(application: Application) -> Label:
    return Label("session cookie", application.name)


def session_cookies(
    application: Application, request: Request, session: Session, now: int, entropy: bytes
) -> tuple[Cookie, ...]:
    """What the browser is to keep; expires what it has of a longer session. entropy: 44 random bytes. Raises SessionTooLarge."""
    names = application.cookies
    plain = session.id.value.encode() + dump(session)
    if len(plain) > MAX_SEALED:
        raise SessionTooLarge(f"the session has {len(plain)} bytes; {MAX_SEALED} are allowed")
    # the last use is not compressed: what fitted at the login fits each time
    touched = session.touched.to_bytes(_TOUCHED, "big")
    sealed = application.ring.seal(touched + zlib.compress(plain), _label(application), entropy)
    pieces = [sealed[start : start + _PIECE] for start in range(0, len(sealed), _PIECE)]
    if len(pieces) > SESSION_COOKIES:
        allowed = f"{SESSION_COOKIES} cookies of {CHUNK}; set store.kind to sqlite or redis"
        raise SessionTooLarge(f"the session has {len(sealed)} bytes sealed, more than {allowed}")
    pieces[0] = f"{len(pieces)}.{pieces[0]}"
    set_now = tuple(
        Cookie(name, piece, names.secure, session.expires - now)
        for name, piece in zip(names.sessions, pieces, strict=False)
    )
    return set_now + left_over(application, request, len(pieces))


def left_over(application: Application, request: Request, kept: int) -> tuple[Cookie, ...]:
    """Expires the session cookies that this browser has beyond the first `kept`."""
    names = application.cookies
    return tuple(names.expired(name) for name in names.sessions[kept:] if request.has_cookie(name))


def read_session(application: Application, request: Request) -> Session | None:
    """None: no session cookie, or one that is not whole, another key's, another application's, tampered with, or there twice."""
    names = application.cookies
    head = _HEAD.fullmatch(request.cookie(names.session) or "")
    if head is None:
        return None
    pieces = [head[2], *(request.cookie(name) for name in names.sessions[1 : int(head[1])])]
    if not all(pieces):
        return None
    sealed = "".join(piece for piece in pieces if piece)
    opened = application.ring.open(sealed, _label(application), limit=SESSION_COOKIES * CHUNK)
    plain = _inflate(opened[_TOUCHED:]) if opened is not None else None
    if opened is None or plain is None or (session_id := SessionId.parse(plain[:_ID].decode("latin-1"))) is None:
        return None
    touched = int.from_bytes(opened[:_TOUCHED], "big")
    return load(plain[_ID:], session_id, touched, outdated=not application.ring.newest(sealed))


def _inflate(data: bytes) -> bytes | None:
    """At most MAX_SEALED bytes; None for more, or for what is no whole zlib stream."""
    stream = zlib.decompressobj()
    try:
        plain = stream.decompress(data, MAX_SEALED)
    except zlib.error:
        return None
    return plain if stream.eof and not stream.unused_data else None
