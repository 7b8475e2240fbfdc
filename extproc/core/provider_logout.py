"""Logout that the provider starts: by its own request (OpenID Connect Back-Channel Logout 1.0), or
by a frame in the browser (Front-Channel Logout 1.0).

Neither depends on a session cookie. Of the provider's own request the signature of the logout token
counts. A frame of another site comes without cookies (SameSite), so it can name its session by the
sid alone. That is no secret of the provider and this browser: every client of the provider reads it
in its own ID tokens, and addresses and logs may have it. The sid alone therefore counts only where
the settings say so.
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
from extproc.core.oidc.id_token import is_sid
from extproc.core.oidc.logout_token import LogoutToken
from extproc.core.sealing import KeyRing
from extproc.core.session import Session
from extproc.core.session_index import sid_tags, subject_tags

# bytes of a form; a longer one gets 413
MAX_BODY = 65_536
FORM = "application/x-www-form-urlencoded"


def is_back_channel(application: Application, request: Request) -> bool:
    """Whether a request is for the back-channel logout, which the provider itself requests: it has
    no cookies, and the response is no page.
    """
    return (
        application.backchannel_logout
        and request.path == application.endpoints + BACKCHANNEL_LOGOUT
    )


def back_channel(application: Application, request: Request) -> ReadBody:
    """Decide on the head of POST /oauth2/backchannel-logout.

    Any host of the application will do, because the provider may use another one than browsers.
    Raises Refusal.
    """
    if not application.serves(request):
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
    """Read the form of a back-channel logout; fields other than logout_token are ignored (section
    2.5). Raises BodyTooLarge, InvalidLogout.
    """
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
    """The index tags of the sessions that a verified logout token ends: those of its sid, or
    without a sid those of its subject.
    """
    if token.sid is not None:
        return sid_tags(ring, token.issuer, token.sid)
    return subject_tags(ring, token.issuer, token.subject or "")


def front_channel(
    application: Application, request: Request, session: Session | None
) -> FrontChannelLogout:
    """Decide on GET /oauth2/frontchannel-logout?iss=..&sid=.. (section 2).

    Both parameters are required; otherwise any page could sign a browser out. Raises Refusal.
    """
    if request.method != "GET":
        raise MethodNotAllowed("GET")
    try:
        fields = parameters(request.query)
    except ValueError:
        raise InvalidLogout("the query is too long, or no UTF-8") from None
    issuers = [value for name, value in fields if name == "iss"]
    sids = [value for name, value in fields if name == "sid"]
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
