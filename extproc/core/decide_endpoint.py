"""Decisions on requests for the processor's own endpoints, below `{path_prefix}oauth2/`:
decide_endpoint().
"""

from extproc.core import endpoints, sessions_page
from extproc.core.application import Application
from extproc.core.decisions import (
    Decision,
    EndSession,
    Own,
    RedeemCode,
    Respond,
    StartLogin,
)
from extproc.core.errors import (
    CrossSiteLogout,
    LoginRequired,
    MethodNotAllowed,
    NoSuchEndpoint,
    StateMismatch,
    UserNavigationRequired,
)
from extproc.core.http import Request
from extproc.core.login import chosen_page, pending_of, requested_page, return_query
from extproc.core.logout import expired, may_post, opened_page, page_after
from extproc.core.navigation import is_prefetch, is_user_navigation
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.page import Page
from extproc.core.provider_logout import front_channel
from extproc.core.refresh import serves
from extproc.core.session import Session


def decide_endpoint(  # noqa: PLR0911 - one for each endpoint
    application: Application, request: Request, session: Session | None, now: int
) -> Decision:
    """Decide on a request for one of the processor's own endpoints. Raises Refusal."""
    name = request.path.removeprefix(application.endpoints)
    if request.host != application.host:
        if name == endpoints.LOGIN and is_user_navigation(request, explicit=True):
            return to_own_host(application, request)
        raise NoSuchEndpoint
    match name:
        case endpoints.CALLBACK:
            return callback(application, request, session, now)
        case endpoints.LOGIN:
            return login(application, request, session, now)
        case endpoints.LOGOUT:
            return logout(application, request, session)
        case endpoints.FRONTCHANNEL_LOGOUT if application.frontchannel_logout != "off":
            return front_channel(application, request, session)
        case endpoints.SESSIONS:
            return own_sessions(application, request, session, now)
        case endpoints.SIGNED_OUT:
            return signed_out(application, request)
        case endpoints.USERINFO:
            return userinfo(application, request, session, now)
        case _:
            raise NoSuchEndpoint


def login(
    application: Application, request: Request, session: Session | None, now: int
) -> Respond | StartLogin:
    """Decide on GET /oauth2/login?return_to=PATH. Raises Refusal."""
    _require_method(request, "GET", "HEAD")
    if not is_user_navigation(request, explicit=True):
        raise LoginRequired
    target = chosen_page(application, endpoints.parameter(request, "return_to"))
    if session is None:
        return StartLogin(target, expired(application, request))
    if not session.sufficient(application, now):
        return StartLogin(target)
    return Respond(303, "already_signed_in", location=application.origin + target)


def callback(
    application: Application, request: Request, session: Session | None, now: int
) -> RedeemCode | StartLogin | Respond:
    """Decide on GET /oauth2/callback, by which the browser brings the provider's response.

    The response has to belong to a login that this browser started; that is checked first. A user
    who is signed in by then, in another tab, gets a page of the application in place of an error.
    Raises Refusal.
    """
    _require_method(request, "GET")
    if not is_user_navigation(request, explicit=True):
        raise UserNavigationRequired
    signed_in = session is not None and serves(application, session, now)
    try:
        response = AuthorizationResponse.parse(request.query)
        pending = pending_of(application, request, response.state)
    except StateMismatch:
        if signed_in:
            return Respond(303, "login_not_needed", location=application.url)
        raise
    if not pending.expired(now):
        return RedeemCode(response, pending, session)
    spent = application.cookies.expired(application.cookies.login(pending.attempt))
    if signed_in:
        location = application.origin + pending.return_to
        return Respond(303, "login_not_needed", location=location, cookies=(spent,))
    # The user left the provider's page open for long. A new login with the same target is more
    # useful than an error.
    return StartLogin(pending.return_to, (spent,))


def logout(
    application: Application, request: Request, session: Session | None
) -> Respond | EndSession:
    """Decide on /oauth2/logout: a POST from the application's own origin, or a GET that is
    certainly the user's own, ends the session.

    Any other GET gets a page that asks for confirmation, and no cookie. `return_to` is the page at
    which the user can sign in again afterwards. Raises Refusal.
    """
    _require_method(request, "GET", "POST")
    if request.method == "POST" and not may_post(application, request):
        raise CrossSiteLogout
    if is_prefetch(request):
        raise UserNavigationRequired
    after = page_after(application, request)
    if request.method == "GET" and not is_user_navigation(request, certain=True):
        page = Page(
            "Sign out?",
            "Do you want to sign out?",
            application.endpoints + endpoints.LOGOUT + (return_query(after) if after else ""),
            "Sign out",
            posts=True,
        )
        return Respond(200, "logout_confirmation", page=page)
    return EndSession(session, expired(application, request), after)


def signed_out(application: Application, request: Request) -> Respond:
    """The page after a logout, for any request: it changes nothing and needs no session. Its link
    leads to the page that the logout was to lead back to.
    """
    after = opened_page(application, request)
    link = application.url if after is None else application.origin + after
    page = Page("Signed out", "You are signed out.", link, "Sign in again")
    return Respond(200, "signed_out_page", page=page)


def userinfo(
    application: Application, request: Request, session: Session | None, now: int
) -> Respond:
    """Decide on GET /oauth2/userinfo, which responds with the user's claims. Raises Refusal."""
    _require_method(request, "GET", "HEAD")
    if session is None:
        raise LoginRequired
    if not session.sufficient(application, now):
        raise application.demand.insufficient()
    user = session.user(application)
    return Respond(200, "userinfo", json=application.shown_claims(session.claims).json(), user=user)


def own_sessions(
    application: Application, request: Request, session: Session | None, now: int
) -> Respond | StartLogin | Own:
    """Decide on /oauth2/sessions: GET shows users their own sessions, POST ends some of them.

    A POST counts only from the application's own origin, with the token of a page that was made for
    this session. Raises Refusal.
    """
    _require_method(request, "GET", "HEAD", "POST")
    if request.method == "POST" and not may_post(application, request):
        raise CrossSiteLogout
    if session is None or not session.sufficient(application, now):
        if request.method != "POST" and is_user_navigation(request):
            stale = expired(application, request) if session is None else ()
            return StartLogin(application.endpoints + endpoints.SESSIONS, stale)
        raise LoginRequired if session is None else application.demand.insufficient()
    if request.method != "POST":
        return sessions_page.shown(session, request)
    step = sessions_page.chosen(application, request, session, now)
    if step is not None:
        return step
    location = sessions_page.address(application, stale=True)
    return Respond(303, "own_sessions_stale", location=location)


def _require_method(request: Request, *methods: str) -> None:
    """Raises MethodNotAllowed."""
    if request.method not in methods:
        raise MethodNotAllowed(", ".join(methods))


def to_own_host(application: Application, request: Request) -> Respond:
    """Redirect a navigation to the host of the application's url."""
    location = application.origin + _own_host_target(application, request)
    return Respond(303, "canonical_host", location=location)


def _own_host_target(application: Application, request: Request) -> str:
    """The request's target as the location of a redirect; the login endpoint keeps its query."""
    if request.path != application.endpoints + endpoints.LOGIN:
        return requested_page(application, request)
    if request.target.isascii() and request.target.isprintable():
        return request.target
    return request.path
