"""Logout that the provider starts: by its own request (OpenID Connect Back-Channel Logout 1.0), or
by a frame (Front-Channel 1.0).

Neither is a browser's navigation with a session to look at. What counts is the logout token's
signature; in a frame, where our cookies are mostly kept away (SameSite), it is that nobody but the
provider and this browser knows the sid.
"""

from urllib.parse import parse_qsl

from extproc.core.application import Application
from extproc.core.decisions import BackChannelLogout, FrontChannelLogout, ReadBody
from extproc.core.endpoints import BACKCHANNEL_LOGOUT
from extproc.core.errors import (
    BodyTooLarge,
    InvalidLogout,
    MethodNotAllowed,
    Misdirected,
)
from extproc.core.http import Request, parameters
from extproc.core.logout import expired
from extproc.core.navigation import is_framed
from extproc.core.oidc.logout_token import LogoutToken, is_sid
from extproc.core.sealing import KeyRing
from extproc.core.session import Session
from extproc.core.session_index import sid_tags, subject_tags

MAX_BODY = 65_536  # bytes of the form; beyond it 413
FORM = "application/x-www-form-urlencoded"


def is_back_channel(application: Application, request: Request) -> bool:
    """Whether this is a request that the provider makes by itself: no cookies count, and its answer
    is no page.
    """
    return (
        application.backchannel_logout
        and request.path == application.endpoints + BACKCHANNEL_LOGOUT
    )


def back_channel(application: Application, request: Request) -> ReadBody:
    """POST /oauth2/backchannel-logout, on any host of the application: the provider may know
    another one than browsers.
    """
    if "*" not in application.hosts and request.host not in application.hosts:
        raise Misdirected
    if request.method != "POST":
        raise MethodNotAllowed("POST")
    if request.header("content-type").partition(";")[0].strip().lower() != FORM:
        raise InvalidLogout(f"the content type is not {FORM}")
    length = request.header("content-length")
    if length.isdecimal() and int(length[:20]) > MAX_BODY:
        raise BodyTooLarge
    return ReadBody()


def posted(body: bytes) -> BackChannelLogout:
    """What the form says; other fields are nothing to us (section 2.5)."""
    if len(body) > MAX_BODY:
        raise BodyTooLarge
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=64)
    except ValueError:
        raise InvalidLogout("the body is no form") from None
    tokens = [value for name, value in fields if name == "logout_token"]
    if len(tokens) != 1:
        raise InvalidLogout("one logout_token is needed")
    return BackChannelLogout(tokens[0])


def tags_of(token: LogoutToken, ring: KeyRing) -> tuple[bytes, ...]:
    """The index tags of the sessions that a verified logout token ends: of its sid, or else of its
    subject.
    """
    if token.sid is not None:
        return sid_tags(ring, token.issuer, token.sid)
    return subject_tags(ring, token.issuer, token.subject or "")


def front_channel(
    application: Application, request: Request, session: Session | None
) -> FrontChannelLogout:
    """GET /oauth2/frontchannel-logout?iss=..&sid=.. (section 2). Both are needed: without them any
    page could sign a browser out.
    """
    if request.method != "GET":
        raise MethodNotAllowed("GET")
    try:
        fields = parameters(request.query)
    except ValueError:
        raise InvalidLogout("the query is too long, or no UTF-8") from None
    issuers, sids = ([value for key, value in fields if key == name] for name in ("iss", "sid"))
    if len(issuers) != 1 or len(sids) != 1 or not is_sid(sids[0]):
        raise InvalidLogout(
            "one iss and one sid are needed (register frontchannel_logout_session_required)"
        )
    if issuers[0] != application.client.issuer:
        raise InvalidLogout("iss is another issuer")
    if not is_framed(request):
        raise InvalidLogout(
            "the browser asks for something else than a frame (Sec-Fetch-Dest), or ahead of "
            "time (Sec-Purpose)"
        )
    if session is None or session.sid != sids[0]:
        return FrontChannelLogout(sids[0])
    return FrontChannelLogout(sids[0], session, expired(application, request))
