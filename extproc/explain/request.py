"""What would become of a request, step by step, by the settings and `decide`.

Nothing is sent, and nothing is changed.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from extproc.core.application import Application
from extproc.core.bearer import presented
from extproc.core.decide import decide
from extproc.core.errors import Refusal
from extproc.core.http import AUTHORIZATION, Request
from extproc.core.provider_logout import is_back_channel
from extproc.core.session import Session
from extproc.core.session_access import facts
from extproc.envoyconfig import regexes
from extproc.envoyconfig.routes import PREFLIGHT
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.explain.access import of_client, of_conditions, of_rule
from extproc.explain.assertion import accepted
from extproc.explain.callers import FindToken, TokenLookup, of_caller
from extproc.explain.cors import is_preflight, of_answers, of_preflight
from extproc.explain.observation import Observation, of_refusal
from extproc.explain.route import ChosenRoute, choose, remedy
from extproc.explain.sample import Headers, SampleRequest, is_forwarded, routed
from extproc.explain.words import of_decision, of_navigation, remedy_of
from extproc.settings import Settings
from extproc.settings.domain import applications


@dataclass(frozen=True, slots=True)
class SessionLookup:
    """The session of a request, if it has one, and what was found out about it.

    `certain` is False where the store could not be read, so the request may have a session.
    """

    session: Session | None
    text: str
    certain: bool = True


FindSession = Callable[[Settings, Application, Request, int], SessionLookup]


def _unknown_token(*_: object) -> TokenLookup:
    return TokenLookup(None, "the request brings an access token")


@dataclass(frozen=True, slots=True)
class _Finders:
    session: FindSession
    caller: FindToken


def explain(
    settings: Settings,
    sample: SampleRequest,
    find: FindSession,
    find_token: FindToken = _unknown_token,
) -> Iterator[Observation]:
    """What would become of a request; the last observation is the verdict.

    Args:
        settings: the settings that Envoy's configuration is generated from.
        sample: the request.
        find: finds the session of a request, for example `extproc.explain.session.find`.
        find_token: finds out about its access token, for example
            `extproc.explain.token.find_token`.
    """
    if not sample.says_what_it_is:
        yield Observation(
            "no Accept or Sec-Fetch header is given: the request counts as a navigation, as from "
            "a browser's address bar"
        )
    sample = sample.as_navigation()
    yield from _headers(settings, sample.headers)
    listener = generated(settings).listeners[0]
    problem = sample.refusal(settings, listener)
    if problem is not None:
        yield Observation(f"400 by Envoy: {problem}", verdict=True)
        return
    request = sample.received(settings)
    yield from _path(sample.parts(settings).path or "/", request.path)
    yield from _routed(settings, listener, request, _Finders(find, find_token))


def _headers(settings: Settings, headers: Headers) -> Iterator[Observation]:
    gateway = settings.gateway
    forgeable = regexes.forgeable(settings.identity.header_prefix, settings.own_identity_headers)
    unsent = regexes.removed(gateway.kept_headers, trusted=gateway.trusted_hops > 0)
    for name, _ in headers:
        if re.fullmatch(forgeable, name):
            yield Observation(
                f"the header {name} is removed: Envoy believes no identity header of a client"
            )
        elif re.fullmatch(unsent, name):
            yield Observation(
                f"the header {name} is removed: no client tells an application what it asked for "
                "(gateway.kept_headers lets it through)"
            )
        elif name == AUTHORIZATION and not settings.accepted:
            yield Observation(
                f"the header {name} is ignored: no rule accepts access tokens (rules.accept), and "
                "the application gets it as it is"
            )
        elif not name.startswith(":") and not is_forwarded(name):
            yield Observation(
                f"the header {name} is ignored: Envoy does not forward it to the processor"
            )


def _path(sent: str, path: str) -> Iterator[Observation]:
    if path != sent:
        yield Observation(f"Envoy reads the path as {path}")
    if re.search(r"/\.\.?;", path):
        yield Observation(
            "Envoy 1.40 resolves ..; like .., and Envoy 1.36 does not; what follows is for Envoy "
            "1.36"
        )


def _routed(
    settings: Settings, listener: HttpListener, request: Request, finders: _Finders
) -> Iterator[Observation]:
    route = choose(listener, request)
    if route is None:
        yield Observation("Envoy has no route for it: 404", verdict=True)
        return
    yield Observation(
        f"the host {request.host} matches {route.domain}, and the path the route {route.name}"
    )
    if route.cors and request.header("origin"):
        yield _of_other_page(route, request)
        if is_preflight(request):
            return
    for text in of_client(route):
        yield Observation(text)
    if not route.application:
        yield _by_envoy(settings, route)
        return
    application = applications(settings, settings.key_ring())[route.application]
    yield from _decided(settings, application, routed(request, route), route, finders)


def _of_other_page(route: ChosenRoute, request: Request) -> Observation:
    """What the cors filter makes of a request; of a preflight it is the verdict, because another
    route has refused those of origins that are not listed.
    """
    if not is_preflight(request):
        return Observation(of_answers(route.cors, request.header("origin")))
    name = route.cluster.removeprefix("application-")
    what, remedy = of_preflight(route.cors, request, name)
    return Observation(what, verdict=True, remedy=remedy)


def _by_envoy(settings: Settings, route: ChosenRoute) -> Observation:
    """The verdict on a route on which Envoy does not call the processor."""
    if route.answer is not None:
        return Observation(
            f"Envoy itself answers {route.answer.status}: {route.answer.text}",
            verdict=True,
            remedy=remedy(route.name),
        )
    name = route.cluster.removeprefix("application-")
    upstream = route.cluster
    if name in settings.applications:
        upstream = settings.applications[name].upstream
    if route.name == f"{name}:{PREFLIGHT}":
        return Observation(
            f"forwarded to {upstream} without an identity: the application {name} answers "
            "preflights itself (preflight: pass), so Envoy does not call the processor, and "
            "drops a body",
            verdict=True,
        )
    if route.rule:
        return Observation(
            f"forwarded to {upstream} without an identity: the rule {route.rule} of the "
            f"application {name} has login: none, so Envoy does not call the processor",
            verdict=True,
        )
    return Observation(
        f"forwarded to {upstream}: the application {name} is excluded (exclude: true), so Envoy "
        "does not call the processor",
        verdict=True,
    )


def _decided(
    settings: Settings,
    application: Application,
    request: Request,
    route: ChosenRoute,
    finders: _Finders,
) -> Iterator[Observation]:
    """What the processor decides, unless Envoy accepts an assertion.

    Args:
        settings: the settings.
        application: the application that the processor decides for.
        request: the request as the processor gets it.
        route: the route that Envoy chose.
        finders: what finds the session or the access token of a request.
    """
    now = int(time.time())
    kind = _kind_of_path(application, request, route)
    yield Observation(f"the application is {application.name}, and the path is {kind}")
    if is_back_channel(application, request):
        yield Observation(
            "the provider's logout: the processor reads the body, and verifies the logout "
            "token in it",
            verdict=True,
        )
        return
    is_endpoint = request.path.startswith(application.endpoints)
    for text in () if is_endpoint else of_rule(application, route):
        yield Observation(text)
    if route.audiences:
        reason = accepted(settings, application, request, route.audiences, now)
        if reason is not None:
            upstream = settings.applications[application.name].upstream
            yield Observation(
                f"forwarded to {upstream} with its identity headers by Envoy alone: {reason}",
                verdict=True,
            )
            return
        yield Observation(
            f"there is no cookie {application.cookies.assertion} that Envoy accepts, so it calls "
            "the processor"
        )
    yield from _by_credential(settings, application, request, finders, now)


def _by_credential(
    settings: Settings, application: Application, request: Request, finders: _Finders, now: int
) -> Iterator[Observation]:
    """What the processor decides by the access token of a request, or else by its session.

    Args:
        settings: the settings.
        application: the application that the processor decides for.
        request: the request as the processor gets it.
        finders: what finds the session or the access token of a request.
        now: seconds since the epoch.
    """
    try:
        token = presented(application, request)
    except Refusal as refusal:
        yield of_refusal(refusal)
        return
    if token is not None:
        found = finders.caller(settings, application, token, now)
        yield from of_caller(settings, application, request, found, now)
        return
    rule = application.access.rule(request.rule)
    if rule is not None and not rule.accepts_session:
        yield Observation("the rule accepts access tokens alone, and the request brings none")
        yield _verdict(settings, application, request, SessionLookup(None, ""), now)
        return
    lookup = finders.session(settings, application, request, now)
    yield Observation(lookup.text)
    session = lookup.session
    is_endpoint = request.path.startswith(application.endpoints)
    if session is None or not session.sufficient(application, now):
        yield Observation(of_navigation(request))
    elif not is_endpoint and session.fresh(application, now):
        user = facts(application, session)
        for text in of_conditions(settings, application, request, user, now):
            yield Observation(text)
    yield _verdict(settings, application, request, lookup, now)


def _kind_of_path(application: Application, request: Request, route: ChosenRoute) -> str:
    if request.path.startswith(application.endpoints):
        return "an endpoint of the processor"
    return "public" if route.public else "protected"


def _verdict(
    settings: Settings, application: Application, request: Request, lookup: SessionLookup, now: int
) -> Observation:
    condition = "" if lookup.certain else "if there is no session: "
    try:
        decision = decide(application, request, lookup.session, now)
    except Refusal as refusal:
        return of_refusal(refusal, condition)
    return Observation(
        condition + of_decision(settings, application, decision),
        verdict=True,
        remedy=remedy_of(decision),
    )
