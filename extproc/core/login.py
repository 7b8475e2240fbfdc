"""Login: the authorization request (OpenID Connect Core section 3.1.2, RFC 7636), and the sealed
cookies that remember the logins of a browser that are under way.
"""

import hashlib
import hmac
import re

from extproc.core.application import Application
from extproc.core.encoding import b64encode
from extproc.core.errors import StateMismatch
from extproc.core.http import Cookie, Request, as_envoy_reads, same_origin_target
from extproc.core.oidc.authorization import GRACE, LIFE, PendingAuthorization
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.sealing import Label

# login cookies of a host
MAX_COOKIES = 12
# login cookies of a request that are opened; the others are expired unread
MAX_OPENED = 24
# names and values of all login cookies of a host
MAX_COOKIE_BYTES = 4096
# characters of a return target
MAX_RETURN_TO = 1024
# cookies of one name that are opened; a browser itself keeps one
MAX_PLANTED = 3


def return_target(application: Application, target: str) -> str:
    """The path to which a login returns.

    That is the target if it is a path on the same origin, not too long, and not an endpoint of the
    processor; otherwise the application's start page.
    """
    accepted = same_origin_target(target) if len(target) <= MAX_RETURN_TO else None
    if accepted is None:
        return application.path_prefix
    path = as_envoy_reads(accepted.partition("?")[0])
    return application.path_prefix if path.startswith(application.all_endpoints) else accepted


def authorization_url(
    application: Application, metadata: ProviderMetadata, pending: PendingAuthorization
) -> str:
    """The URL of the authorization request, to which the browser is redirected."""
    challenge = b64encode(hashlib.sha256(pending.code_verifier.encode()).digest())
    separator = "&" if "?" in metadata.authorization_endpoint else "?"
    # these three are base64url, so they need no encoding in a query
    own = f"&state={pending.state}&nonce={pending.nonce}&code_challenge={challenge}"
    return f"{metadata.authorization_endpoint}{separator}{application.authorization_query}{own}"


def _label(application_name: str, cookie_name: str) -> Label:
    return Label("login", application_name, cookie_name)


def login_cookie(application: Application, pending: PendingAuthorization, entropy: bytes) -> Cookie:
    """The sealed cookie of one login attempt. entropy: 44 random bytes."""
    name = application.cookies.login(pending.attempt)
    label = _label(application.name, name)
    sealed = application.ring.seal(pending.to_bytes(), label, entropy)
    return Cookie(name, sealed, application.cookies.secure, LIFE + GRACE)


def crowded_out(application: Application, request: Request, new: Cookie) -> tuple[Cookie, ...]:
    """The expiry of the oldest login cookies of the host, of any application.

    With the new cookie, at most MAX_COOKIES cookies and MAX_COOKIE_BYTES remain. Cookies that do
    not open are expired first: tampered ones, those of another key, and those beyond MAX_OPENED.
    """
    kept, size = 1, _size(new.name, new.value)
    dropped = []
    for created, name, length in _newest_first(application, request):
        if created and kept < MAX_COOKIES and size + length <= MAX_COOKIE_BYTES:
            kept += 1
            size += length
        else:
            dropped.append(application.cookies.expired(name))
    # A browser may hold a great many planted cookies. One response expires a bounded number of
    # them, the next response others.
    return tuple(dict.fromkeys(dropped))[: 2 * MAX_COOKIES]


def _newest_first(application: Application, request: Request) -> list[tuple[int, str, int]]:
    """The login cookies of the host as (created, name, size); created is 0 if one does not open."""
    logins = [
        (name, value)
        for name, value in request.cookies
        if name.startswith(application.cookies.logins)
    ]
    cookies = []
    # browsers send the newest last
    for number, (name, value) in enumerate(reversed(logins)):
        created = _created(application, name, value) if number < MAX_OPENED else 0
        cookies.append((created, name, _size(name, value)))
    return sorted(cookies, reverse=True)


def _size(name: str, value: str) -> int:
    """Bytes of a cookie in a request, with `=` and `; `."""
    return len(name) + len(value) + 3


def _created(application: Application, name: str, value: str) -> int:
    """When the login of a cookie of any application was started; 0 if the cookie does not open."""
    match = re.fullmatch(r"(.+)-[0-9a-f]{8}", name.removeprefix(application.cookies.logins))
    if match is None:
        return 0
    opened = application.ring.open(value, _label(match[1], name), limit=MAX_COOKIE_BYTES)
    return PendingAuthorization.from_bytes(opened).created if opened is not None else 0


def under_way(
    application: Application, request: Request, now: int
) -> tuple[PendingAuthorization, ...]:
    """The logins that this browser began at the application and that may not have ended yet, the
    newest first, at most MAX_COOKIES.

    The browser loses a login's cookie only with the response to its callback. So a login whose
    response is still on its way is included.
    """
    own = re.compile(re.escape(application.cookies.login("")) + "[0-9a-f]{8}")
    cookies = [(name, value) for name, value in request.cookies if own.fullmatch(name)]
    # browsers send the newest last
    opened = (_open(application, name, value) for name, value in cookies[::-1][:MAX_OPENED])
    logins = {
        pending.secret: pending
        for pending in opened
        if pending is not None and now < pending.forgotten
    }
    newest_first = sorted(logins.values(), key=lambda pending: pending.order, reverse=True)
    return tuple(newest_first[:MAX_COOKIES])


def pending_of(application: Application, request: Request, state: str) -> PendingAuthorization:
    """The login that this browser started with this state. Raises StateMismatch."""
    if not re.fullmatch(r"[0-9a-f]{8}[A-Za-z0-9_-]{27}", state):
        raise StateMismatch("the state is malformed")
    name = application.cookies.login(state[:8])
    values = request.cookie_values(name)[:MAX_PLANTED]
    opened = [_open(application, name, value) for value in values]
    logins = [pending for pending in opened if pending is not None]
    if not logins:
        raise StateMismatch("this browser has no login cookie of that state")
    issuer = application.client.issuer
    for pending in logins:
        if hmac.compare_digest(pending.state, state) and pending.issuer == issuer:
            return pending
    raise StateMismatch("the login cookie has another state or another issuer")


def _open(application: Application, name: str, value: str) -> PendingAuthorization | None:
    label = _label(application.name, name)
    opened = application.ring.open(value, label, limit=MAX_COOKIE_BYTES)
    return PendingAuthorization.from_bytes(opened) if opened is not None else None
