"""The authorization request and what comes back (RFC 6749 section 4.1, RFC 7636, RFC 9207, OpenID
Connect Core section 3.1.2).

A login attempt is one random secret of 32 bytes. state, nonce and the PKCE verifier are derived
from it, so that a sealed login cookie stays small; each is a value of its own with at least 160
bits, and none tells another.
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

MAX_COOKIES = 12
MAX_OPENED = 24  # login cookies of a request that are opened; the rest is expired unread
MAX_COOKIE_BYTES = 4096  # of all login cookies of a host, names and values
MAX_RETURN_TO = 1024
MAX_PLANTED = 3  # cookies of one name that are looked at; a browser itself keeps one


def return_target(application: Application, target: str) -> str:
    """Where a login ends: the target when it is ours, not too long and no endpoint of ours; else
    the application's start page.
    """
    accepted = same_origin_target(target) if len(target) <= MAX_RETURN_TO else None
    if accepted is None or as_envoy_reads(accepted.partition("?")[0]).startswith(
        application.all_endpoints
    ):
        return application.path_prefix
    return accepted


def authorization_url(
    application: Application, metadata: ProviderMetadata, pending: PendingAuthorization
) -> str:
    """Where the browser is sent."""
    challenge = b64encode(hashlib.sha256(pending.code_verifier.encode()).digest())
    mark = "&" if "?" in metadata.authorization_endpoint else "?"
    # these three are base64url, so they stand in a query as they are
    own = f"&state={pending.state}&nonce={pending.nonce}&code_challenge={challenge}"
    return f"{metadata.authorization_endpoint}{mark}{application.authorization_query}{own}"


def label(application: Application, cookie_name: str) -> Label:
    return Label("login", application.name, cookie_name)


def login_cookie(application: Application, pending: PendingAuthorization, entropy: bytes) -> Cookie:
    """The sealed cookie of one attempt; entropy: 44 random bytes."""
    name = application.cookies.login(pending.attempt)
    sealed = application.ring.seal(pending.to_bytes(), label(application, name), entropy)
    return Cookie(name, sealed, application.cookies.secure, LIFE + GRACE)


def crowded_out(application: Application, request: Request, new: Cookie) -> tuple[Cookie, ...]:
    """Expires the oldest login cookies of this host, of whichever application, so that with the new
    one at most 12 and 4 kB remain.

    Those that do not open (another key's, tampered, more than MAX_OPENED) go first.
    """
    logins = [
        (name, value)
        for name, value in request.cookies
        if name.startswith(application.cookies.logins)
    ]
    found: list[tuple[int, str, int]] = []
    for number, (name, value) in enumerate(reversed(logins)):  # browsers put the newest last
        created = _created(application, name, value) if number < MAX_OPENED else 0
        found.append((created, name, len(name) + len(value) + 3))
    found.sort(reverse=True)
    kept, size = 1, len(new.name) + len(new.value) + 3
    dropped = []
    for created, name, length in found:
        if created and kept < MAX_COOKIES and size + length <= MAX_COOKIE_BYTES:
            kept, size = kept + 1, size + length
        else:
            dropped.append(application.cookies.expired(name))
    # a browser's jar may be full of planted names: what is dropped in one answer is bounded, the
    # rest goes next time
    return tuple(dict.fromkeys(dropped))[: 2 * MAX_COOKIES]


def _created(application: Application, name: str, value: str) -> int:
    match = re.fullmatch(r"(?P<app>.+)-[0-9a-f]{8}", name.removeprefix(application.cookies.logins))
    opened = (
        application.ring.open(value, Label("login", match["app"], name), limit=MAX_COOKIE_BYTES)
        if match
        else None
    )
    return PendingAuthorization.from_bytes(opened).created if opened is not None else 0


def under_way(
    application: Application, request: Request, now: int
) -> tuple[PendingAuthorization, ...]:
    """The logins that this browser began at this application and that may not have ended yet; at
    most MAX_COOKIES, the newest first.

    The browser loses a login's cookie with the answer to its callback: a login whose answer is
    still on its way is among them.
    """
    own = re.compile(re.escape(application.cookies.login("")) + "[0-9a-f]{8}")
    named = [(name, value) for name, value in request.cookies if own.fullmatch(name)]
    opened = (_opened(application, name, value) for name, value in named[::-1][:MAX_OPENED])
    found = {each.secret: each for each in opened if each is not None and now < each.forgotten}
    return tuple(sorted(found.values(), key=lambda each: each.order, reverse=True)[:MAX_COOKIES])


def pending_of(application: Application, request: Request, state: str) -> PendingAuthorization:
    """The attempt that this browser started with this state. Raises StateMismatch; nothing else is
    looked at before.
    """
    if not re.fullmatch(r"[0-9a-f]{8}[A-Za-z0-9_-]{27}", state):
        raise StateMismatch("not a state of ours")
    name = application.cookies.login(state[:8])
    found = [
        _opened(application, name, value) for value in request.cookie_values(name)[:MAX_PLANTED]
    ]
    known = [pending for pending in found if pending is not None]
    if not known:
        raise StateMismatch("this browser has no login cookie of that state")
    for pending in known:
        if (
            hmac.compare_digest(pending.state, state)
            and pending.issuer == application.client.issuer
        ):
            return pending
    raise StateMismatch("the login cookie has another state or another issuer")


def _opened(application: Application, name: str, value: str) -> PendingAuthorization | None:
    opened = application.ring.open(value, label(application, name), limit=MAX_COOKIE_BYTES)
    return PendingAuthorization.from_bytes(opened) if opened is not None else None
