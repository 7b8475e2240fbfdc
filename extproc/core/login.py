"""Login: the authorization request (OpenID Connect Core section 3.1.2, RFC 7636), and the sealed
cookies that remember the logins of a browser that are under way.
"""

import hashlib
import hmac
import re
from dataclasses import replace
from urllib.parse import quote

from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.encoding import b64encode
from extproc.core.errors import StateMismatch
from extproc.core.http import Request, as_envoy_reads, printable, same_origin_target
from extproc.core.oidc.authorization import GRACE, LIFE, PendingAuthorization
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.sealing import Label
from extproc.core.step_up import Demand

# login cookies of a request that are opened; the others are expired unread. Envoy forwards as many.
MAX_OPENED = 48
# bytes of the name and the value of one cookie that browsers keep (RFC 6265 section 6.1)
BROWSER_BYTES = 4096
# characters of a return target (RFC 9110 section 4.1 recommends as many for a URI)
MAX_RETURN_TO = 8000
# cookies of one name that are opened; a browser itself keeps one
MAX_PLANTED = 3


def return_target(application: Application, target: str) -> str:
    """The path to which a login returns.

    That is the target if it is a path on the same origin, not too long, and not an endpoint of the
    processor; otherwise the application's start page.
    """
    return _accepted(application, target) or application.path_prefix


def requested_page(application: Application, request: Request) -> str:
    """The path to which a login returns that this request starts, see return_target()."""
    # the target has one character for each byte
    target = re.sub(r"[\x80-\xff]", lambda byte: f"%{ord(byte[0]):02X}", request.target)
    return return_target(application, target)


def chosen_page(application: Application, return_to: str) -> str:
    """The path to which a login returns that a link asks for, see return_target(). Its fragment is
    kept, because many applications name their pages by it.
    """
    target, mark, fragment = return_to.partition("#")
    accepted = _accepted(application, target)
    if accepted is None:
        return application.path_prefix
    page = accepted + mark + printable(fragment)
    if len(page) > MAX_RETURN_TO or re.search(r"[\x00-\x20#\x7f]", fragment):
        return accepted
    return page


def return_query(page: str) -> str:
    """The query with which the login and the logout endpoint lead back to a page."""
    return f"?return_to={quote(page, safe='/')}"


def _accepted(application: Application, target: str) -> str | None:
    """The target if a login may return to it."""
    accepted = same_origin_target(target) if len(target) <= MAX_RETURN_TO else None
    if accepted is None or len(accepted) > MAX_RETURN_TO:
        return None
    path = as_envoy_reads(accepted.partition("?")[0])
    return None if path.startswith(application.all_endpoints) else accepted


def demand_of(application: Application, pending: PendingAuthorization) -> Demand:
    """What a login has to meet: more than the application demands if a rule does."""
    if not pending.acr_values and pending.max_age is None:
        return application.demand
    return replace(application.demand, acr_values=pending.acr_values, max_age=pending.max_age)


def authorization_url(
    application: Application, metadata: ProviderMetadata, pending: PendingAuthorization
) -> str:
    """The URL of the authorization request, to which the browser is redirected."""
    challenge = b64encode(hashlib.sha256(pending.code_verifier.encode()).digest())
    separator = "&" if "?" in metadata.authorization_endpoint else "?"
    # these three are base64url, so they need no encoding in a query
    own = f"&state={pending.state}&nonce={pending.nonce}&code_challenge={challenge}"
    demand = demand_of(application, pending)
    query = application.authorization_query
    if demand is not application.demand:
        query = application.client.authorization_query + demand.query
    return f"{metadata.authorization_endpoint}{separator}{query}{own}"


def label_of(application_name: str, cookie_name: str) -> Label:
    """What a login cookie is sealed as."""
    return Label("login", application_name, cookie_name)


def login_cookie(application: Application, pending: PendingAuthorization, entropy: bytes) -> Cookie:
    """The sealed cookie of one login attempt, without the return target if browsers would not keep
    the cookie with it. entropy: 44 random bytes.
    """
    name = application.cookies.login(pending.attempt)
    label = label_of(application.name, name)
    data = pending.to_bytes()
    if len(name) + application.ring.length(data) > BROWSER_BYTES:
        data = replace(pending, return_to="").to_bytes()
    sealed = application.ring.seal(data, label, entropy)
    return Cookie(name, sealed, application.cookies.secure, LIFE + GRACE)


def under_way(
    application: Application, request: Request, now: int
) -> tuple[PendingAuthorization, ...]:
    """The logins that this browser began at the application and that may not have ended yet, the
    newest first, at most MAX_OPENED.

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
    return tuple(sorted(logins.values(), key=lambda pending: pending.order, reverse=True))


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
    """The login of a cookie of the application, which returns to the start page if no room was
    left for its return target.
    """
    label = label_of(application.name, name)
    opened = application.ring.open(value, label, limit=BROWSER_BYTES)
    if opened is None:
        return None
    pending = PendingAuthorization.from_bytes(opened)
    return pending if pending.return_to else replace(pending, return_to=application.path_prefix)
