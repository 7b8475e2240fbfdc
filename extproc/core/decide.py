"""What the relying party does with one request: decide().

The rules, in the order in which they are looked at:

1. The route that Envoy chose says which application a request is for and whether its path is
   public. Nothing that a client can write says so.
2. Our own endpoints are below `{path_prefix}oauth2/`, on the host of the application's `url` only:
   login, callback, logout, signed-out, userinfo, sessions, frontchannel-logout. Everything else
   below it is 404; none of it ever reaches the application. backchannel-logout is no browser's, see
   provider_logout.py.
3. A public path goes on, with identity headers when somebody is signed in and without them when
   nobody is.
4. A session that is fresh goes on, with its identity headers and a new identity assertion for the
   browser; when its tokens are due they are renewed first. An application that wants the access
   token gets it, and no request without a valid one.
5. Without a session, a user navigation starts a login and everything else gets 401 and no cookie: a
   redirect would only confuse a script, and twenty of them would start twenty logins. A navigation
   on another host that the application lists goes to its `url` first, or the session would end up
   on the wrong host.
6. A session of a login that is not enough for the application (step_up.py) is none on a public
   path. Elsewhere a navigation goes back to the provider, with the session kept until the new one
   replaces it, and everything else is told what is missing.
7. A request that no person made changes nothing (navigation.py has the table): it starts no login,
   spends no code, ends no session and touches no cookie. Logout asks first, whatever is not
   certainly the user's own; what a browser asks ahead of time is refused, so that it asks again
   when the user comes. A provider's front-channel logout is a frame and nothing else.

A decision is an Answer, or a Step: something that needs IO, which relying_party/relying_party.py
carries out and which ends in an Answer. Refusals are raised as Refusal and become an Answer in one
place, refusals.py.
"""

from extproc.core import endpoints, sessions_page
from extproc.core.application import Application
from extproc.core.decisions import (
    Continue,
    Decision,
    EndSession,
    Own,
    RedeemCode,
    Refresh,
    Respond,
    StartLogin,
)
from extproc.core.errors import (
    AccessTokenExpired,
    CrossSiteLogout,
    LoginRequired,
    MethodNotAllowed,
    Misdirected,
    NoSuchEndpoint,
    UserNavigationRequired,
)
from extproc.core.http import Request, parameters
from extproc.core.login import pending_of, return_target
from extproc.core.logout import expired, may_post
from extproc.core.navigation import is_prefetch, is_user_navigation
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.page import Page
from extproc.core.provider_logout import front_channel
from extproc.core.refresh import AUTHORIZATION, bearer, due, renewable
from extproc.core.session import Session


def decide(
    application: Application,
    request: Request,
    session: Session | None,
    now: int,
    *,
    may_refresh: bool = True,
) -> Decision:
    """What the relying party does with one request, given what the store knows. Raises Refusal.

    now: seconds since the epoch. may_refresh: False when that was tried just now.
    """
    if "*" not in application.hosts and request.host not in application.hosts:
        raise Misdirected
    if session is not None and not session.fresh(application, now):
        session = None
    if request.path.startswith(application.endpoints):
        return endpoint(application, request, session, now)
    if session is not None and not session.sufficient(application, now):
        if not request.public:
            return step_up(application, request)
        session = None
    if session is not None and not request.public:
        if may_refresh and due(application, session, now):
            return Refresh(session)
        if application.forward_access_token and now >= session.access_expires:
            if renewable(application, session):
                raise AccessTokenExpired
            session = None
    if session is not None:
        return admit(application, session, now)
    if request.public:
        return Continue("public", remove_headers=_ours(application))
    return unauthenticated(application, request)


def endpoint(  # noqa: PLR0911 - one for each endpoint
    application: Application, request: Request, session: Session | None, now: int
) -> Decision:
    """Our own endpoints."""
    name = request.path.removeprefix(application.endpoints)
    if request.host != application.host:
        if name == endpoints.LOGIN and is_user_navigation(request, explicit=True):
            return _to_own_host(application, request)
        raise NoSuchEndpoint
    match name:
        case endpoints.CALLBACK:
            return callback(application, request, session, now)
        case endpoints.LOGIN:
            return login(application, request, session, now)
        case endpoints.LOGOUT:
            return logout(application, request, session)
        case endpoints.FRONTCHANNEL_LOGOUT:
            return front_channel(application, request, session)
        case endpoints.SESSIONS:
            return own(application, request, session, now)
        case endpoints.SIGNED_OUT | endpoints.USERINFO:
            return _told(application, request, session, now)
        case _:
            raise NoSuchEndpoint


def _told(application: Application, request: Request, session: Session | None, now: int) -> Respond:
    """What needs no more than what is known: the page after a logout, and who is signed in."""
    if request.path == application.endpoints + endpoints.SIGNED_OUT:
        page = Page("Signed out", "You are signed out.", application.url, "Sign in again")
        return Respond(200, "signed_out_page", page=page)
    _only(request, "GET", "HEAD")
    if session is None:
        raise LoginRequired
    if not session.sufficient(application, now):
        raise application.demand.insufficient()
    return Respond(200, "userinfo", json=session.claims.json())


def admit(application: Application, session: Session, now: int) -> Continue:
    """A signed-in request goes on, and the browser gets an assertion, so that the next ones need
    not come here.
    """
    identity = application.identity_headers(session.claims)
    lasts = session.lasts(application, now)
    renewed = application.assertion_cookie(
        session.id.handle, identity, now, session.not_after(application, now), lasts
    )
    headers = identity + bearer(application, session, now)
    present = {name for name, _ in headers}
    return Continue(
        "session" if renewed else "session_unasserted",
        headers,
        tuple(name for name in _ours(application) if name not in present),
        (renewed,) if renewed else (),
        session if session.stale_touch(now) else None,
        lasts,
        session,
    )


def unauthenticated(application: Application, request: Request) -> Respond | StartLogin:
    """Nobody is signed in: a navigation starts a login, everything else is told so."""
    if not is_user_navigation(request):
        raise LoginRequired
    if request.host != application.host:
        return _to_own_host(application, request)
    return StartLogin(return_target(application, request.target), expired(application, request))


def step_up(application: Application, request: Request) -> Respond | StartLogin:
    """Somebody is signed in, and not well enough: the same as for nobody, but that the session
    stays as it is.
    """
    if not is_user_navigation(request):
        raise application.demand.insufficient()
    if request.host != application.host:
        return _to_own_host(application, request)
    return StartLogin(return_target(application, request.target))


def login(
    application: Application, request: Request, session: Session | None, now: int
) -> Respond | StartLogin:
    """GET /oauth2/login?return_to=PATH."""
    _only(request, "GET", "HEAD")
    if not is_user_navigation(request, explicit=True):
        raise LoginRequired
    target = return_target(application, _return_to(request.query))
    if session is None:
        return StartLogin(target, expired(application, request))
    if not session.sufficient(application, now):
        return StartLogin(target)
    return Respond(303, "already_signed_in", location=application.origin + target)


def _return_to(query: str) -> str:
    """The one return_to of a query; "" where there is none, or several, or more parameters than
    anybody needs.
    """
    try:
        wanted = [
            value for name, value in parameters(query, "surrogateescape") if name == "return_to"
        ]
    except ValueError:
        return ""
    return wanted[0] if len(wanted) == 1 else ""


def callback(
    application: Application, request: Request, session: Session | None, now: int
) -> RedeemCode | StartLogin:
    """The provider's answer, brought by the browser: bound to this browser before anything else is
    done with it.
    """
    _only(request, "GET")
    if not is_user_navigation(request, explicit=True):
        raise UserNavigationRequired
    response = AuthorizationResponse.parse(request.query)
    pending = pending_of(application, request, response.state)
    if pending.expired(now):
        # the user left the provider's page open for long: start again instead of an error, the
        # target is kept
        return StartLogin(
            pending.return_to,
            (application.cookies.expired(application.cookies.login(pending.attempt)),),
        )
    return RedeemCode(response, pending, session)


def logout(
    application: Application, request: Request, session: Session | None
) -> Respond | EndSession:
    """POST from our own origin, or a GET that is certainly the user's; any other GET gets a page
    that asks, and touches no cookie.
    """
    _only(request, "GET", "POST")
    if request.method == "POST" and not may_post(application, request):
        raise CrossSiteLogout
    if is_prefetch(request):
        raise UserNavigationRequired
    if request.method == "GET" and not is_user_navigation(request, certain=True):
        page = Page(
            "Sign out?",
            "Do you want to sign out?",
            application.endpoints + endpoints.LOGOUT,
            "Sign out",
            posts=True,
        )
        return Respond(200, "logout_confirmation", page=page)
    return EndSession(session, expired(application, request))


def own(
    application: Application, request: Request, session: Session | None, now: int
) -> Respond | StartLogin | Own:
    """What users see of their own sessions, and end: by POST from our own origin with what our page
    said.
    """
    _only(request, "GET", "HEAD", "POST")
    if request.method == "POST" and not may_post(application, request):
        raise CrossSiteLogout
    if session is None or not session.sufficient(application, now):
        if request.method != "POST" and is_user_navigation(request):
            gone = expired(application, request) if session is None else ()
            return StartLogin(application.endpoints + endpoints.SESSIONS, gone)
        raise LoginRequired if session is None else application.demand.insufficient()
    if request.method != "POST":
        return sessions_page.shown(session, request)
    chosen = sessions_page.chosen(application, request, session, now)
    return chosen or Respond(
        303, "own_sessions_stale", location=sessions_page.address(application, stale=True)
    )


def _only(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise MethodNotAllowed(", ".join(methods))


def _to_own_host(application: Application, request: Request) -> Respond:
    return Respond(
        303,
        "canonical_host",
        location=application.origin + return_target_or_endpoint(application, request),
    )


def return_target_or_endpoint(application: Application, request: Request) -> str:
    """The same target on the application's own host; login keeps its query."""
    if request.path == application.endpoints + endpoints.LOGIN:
        return (
            request.target
            if request.target.isascii() and request.target.isprintable()
            else request.path
        )
    return return_target(application, request.target)


def _ours(application: Application) -> tuple[str, ...]:
    """The headers that say who is signed in: where one has no value of ours, it has none."""
    identity = tuple(header for header, _ in application.identity)
    return (*identity, AUTHORIZATION) if application.forward_access_token else identity
