"""What the relying party does with one request: decide().

The rules, in the order in which they apply:

1. The route that Envoy chose determines which application a request is for and whether its path is
   public. Nothing that a client can write has any influence on that.
2. The processor's own endpoints are below `{path_prefix}oauth2/`, only on the host of the
   application's `url`: login, callback, logout, signed-out, userinfo, sessions,
   frontchannel-logout. Any other path below it is 404; none of them ever reaches the application.
   backchannel-logout is not for browsers, see provider_logout.py.
3. A request for a public path continues, with identity headers if the user is signed in.
4. A request with a fresh session continues, with identity headers and a new identity assertion for
   the browser. If its tokens are due, they are renewed first. An application that forwards the
   access token gets no request without a valid one.
5. Without a session, a user navigation starts a login. Every other request gets 401 and no cookie,
   because a redirect would only confuse a script, and twenty scripts would start twenty logins. A
   navigation on another host of the application is redirected to its `url` first; otherwise the
   session would end up on the wrong host.
6. A session whose login does not meet the application's demand (step_up.py) counts as no session
   on a public path. On other paths a navigation goes back to the provider, and the session is kept
   until the new one replaces it; every other request gets 401 with the demand.
7. A session whose user the deciding rule refuses (access.py) counts as no session on a public path
   and where a login is optional. Elsewhere a login that would help is started as in 6; otherwise
   the answer is 403. Claims that a rule finds too old are renewed first.
8. Where the deciding rule accepts access tokens, a request that brings one is decided in bearer.py.
   Where it accepts nothing else, a session is not looked at here either: without a token the answer
   is 401, or no identity where the login is optional.
9. A request that no person made changes nothing (navigation.py has the table): it starts no login,
   redeems no code, ends no session and touches no cookie. The logout endpoint asks for confirmation
   unless the request is certainly the user's own. A prefetch is refused, so that the browser asks
   again when the user opens the page. A provider's front-channel logout is accepted only in a
   frame.

A decision is an Answer, or a Step. A Step needs IO: relying_party/relying_party.py carries it out,
and it ends in an Answer. A refusal is raised as Refusal, and becomes an Answer in refusals.py.
"""

from dataclasses import replace

from extproc.core.access_conditions import Facts, Missing
from extproc.core.access_rules import Rule
from extproc.core.application import Application
from extproc.core.bearer_errors import TokenRequired
from extproc.core.decide_endpoint import decide_endpoint, to_own_host
from extproc.core.decisions import (
    Continue,
    Decision,
    Refresh,
    Respond,
    StartLogin,
)
from extproc.core.errors import (
    AccessDiffers,
    AccessTokenExpired,
    LoginRequired,
    Misdirected,
    NotAllowed,
)
from extproc.core.http import AUTHORIZATION, Request
from extproc.core.login import requested_page
from extproc.core.logout import expired
from extproc.core.navigation import is_user_navigation
from extproc.core.refresh import LEAST, bearer, due, renewable
from extproc.core.session import Session
from extproc.core.session_access import assertion, known_of, missing
from extproc.core.step_up import Demand


def decide(
    application: Application,
    request: Request,
    session: Session | None,
    now: int,
    *,
    may_refresh: bool = True,
) -> Decision:
    """Decide on one request, given the session that the store knows.

    Args:
        application: the application that the request's route names.
        request: the request.
        session: the session of the request's cookies, if the store has one.
        now: seconds since the epoch.
        may_refresh: False if renewing the tokens has just been tried.

    Raises:
        Refusal: the request is refused; see errors.py for every kind.
    """
    if not application.serves(request):
        raise Misdirected
    if session is not None and not session.fresh(application, now):
        session = None
    if request.path.startswith(application.endpoints):
        return decide_endpoint(application, request, session, now)
    rule = deciding_rule(application, request)
    if not rule.accepts_session:
        session = None
    known = known_of(application, session)
    decision: Decision
    if request.public:
        decision = _decide_public(application, rule, session, known, now, may_refresh=may_refresh)
    elif not rule.accepts_session:
        raise TokenRequired
    elif session is None:
        return unauthenticated(application, request, application.access.login_demand(rule))
    else:
        decision = _decide_signed_in(
            application, request, rule, session, known, now, may_refresh=may_refresh
        )
    if request.shadow and isinstance(decision, Continue):
        key = _would_refuse(application, request.shadow, decision.session, known, now)
        return replace(decision, would_refuse=key)
    return decision


def _would_refuse(
    application: Application, shadow: str, session: Session | None, known: Facts | None, now: int
) -> str:
    """The key of a rule in shadow mode that would have refused an admitted request, or "".

    Claims that are too old, and would be renewed without the user, are no refusal: what counts
    then is whether the other conditions hold for them.
    """
    rule = application.access.rule(shadow)
    if rule is None:
        raise AccessDiffers("Envoy's route names a rule that the settings do not have")
    if session is None:
        return f"rules.{shadow}.login"
    refused = missing(application, session, rule, now, known)
    if refused is not None and refused.stale and renewable(application, session):
        ageless = replace(rule, max_claims_age=None)
        refused = missing(application, session, ageless, now, known)
    return refused.key if refused is not None else ""


def _decide_public(
    application: Application,
    rule: Rule,
    session: Session | None,
    known: Facts | None,
    now: int,
    *,
    may_refresh: bool,
) -> Continue | Refresh:
    """Decide on a request that needs no login: it has an identity if its user may have one.

    Where a rule makes the login optional, tokens are renewed as elsewhere: otherwise a user who
    reads only such pages would keep a group for ever. Public paths never wait for a provider.
    """
    if session is not None and rule.login != "none" and session.sufficient(application, now):
        if may_refresh and rule.login == "optional" and due(application, session, now):
            return Refresh(session)
        if missing(application, session, rule, now, known) is None:
            return admit(application, session, now, known)
    return Continue("public", remove_headers=owned_headers(application))


def _decide_signed_in(
    application: Application,
    request: Request,
    rule: Rule,
    session: Session,
    known: Facts | None,
    now: int,
    *,
    may_refresh: bool,
) -> Decision:
    """Decide on a request with a fresh session.

    Args:
        application: the application of the request.
        request: the request.
        rule: the rule that decides it.
        session: its session.
        known: the facts of the session's user, if a condition needs them.
        now: seconds since the epoch.
        may_refresh: False if renewing the tokens has just been tried.

    Raises:
        Refusal: the request is refused.
    """
    if not session.sufficient(application, now):
        return step_up(application, request, application.demand)
    if may_refresh and due(application, session, now):
        return Refresh(session)
    refused = missing(application, session, rule, now, known)
    if refused is not None:
        may_refresh = may_refresh and now >= session.access_issued + LEAST
        return _not_admitted(application, request, session, refused, may_refresh=may_refresh)
    if application.forward_access_token and now >= session.access_expires:
        if renewable(application, session):
            raise AccessTokenExpired
        return unauthenticated(application, request, application.access.login_demand(rule))
    return admit(application, session, now, known)


def deciding_rule(application: Application, request: Request) -> Rule:
    """The rule that decides a request. Raises AccessDiffers, and NotAllowed for a rule that refuses
    everybody.
    """
    rule = application.access.rule(request.rule)
    if rule is None:
        raise AccessDiffers("Envoy's route names a rule that the settings do not have")
    if rule.deny:
        raise NotAllowed(f"rules.{rule.name}.deny")
    return rule


def _not_admitted(
    application: Application,
    request: Request,
    session: Session,
    missing: Missing,
    *,
    may_refresh: bool,
) -> Respond | StartLogin | Refresh:
    """Decide on a request whose user the deciding rule refuses.

    Args:
        application: the application of the request.
        request: the request.
        session: the session of the user.
        missing: why the rule refuses the user.
        may_refresh: False if renewing the tokens has just been tried.

    Raises:
        NotAllowed: no login of the user would help.
        InsufficientAuthentication: a login would help, and the request cannot start one.
    """
    if missing.stale and may_refresh and renewable(application, session):
        return Refresh(session, stale=True)
    demand = missing.demand and application.demand.joined(missing.demand)
    if demand is None:
        raise NotAllowed(missing.key)
    return step_up(application, request, demand)


def admit(
    application: Application, session: Session, now: int, known: Facts | None = None
) -> Continue:
    """Let a signed-in request continue.

    The browser gets a new assertion, so that Envoy decides on its next requests by itself.

    known: the facts of the session's user, if they were taken already.
    """
    cookie = assertion(application, session, now, known)
    headers = application.identity_headers(session.claims) + bearer(application, session, now)
    present = {name for name, _ in headers}
    return Continue(
        "session" if cookie else "session_unasserted",
        set_headers=headers,
        remove_headers=tuple(name for name in owned_headers(application) if name not in present),
        set_cookies=(cookie,) if cookie else (),
        touch=session if session.stale_touch(now) else None,
        lasts=session.lasts(application, now),
        session=session,
        user=session.user(application),
    )


def unauthenticated(
    application: Application, request: Request, demand: Demand | None = None
) -> Respond | StartLogin:
    """Decide on a request without a session: a navigation starts a login. Raises LoginRequired for
    every other request.

    demand: what every user has to meet whom the deciding rule admits, if that is anything.
    """
    if not is_user_navigation(request):
        raise LoginRequired
    if request.host != application.host:
        return to_own_host(application, request)
    page = requested_page(application, request)
    more = demand and application.demand.joined(demand)
    return StartLogin(page, expired(application, request), demand=more)


def step_up(application: Application, request: Request, demand: Demand) -> Respond | StartLogin:
    """Decide on a request whose login does not meet a demand: a navigation starts a login that
    meets it and replaces the session. Raises InsufficientAuthentication for every other request.
    """
    if not is_user_navigation(request):
        raise demand.insufficient()
    if request.host != application.host:
        return to_own_host(application, request)
    more = None if demand == application.demand else demand
    return StartLogin(requested_page(application, request), demand=more)


def owned_headers(application: Application) -> tuple[str, ...]:
    """The headers that only the processor may set: those without a value are removed from the
    request, so that no client can write them.
    """
    identity = tuple(header for header, _ in application.identity)
    return (*identity, AUTHORIZATION) if application.forward_access_token else identity
