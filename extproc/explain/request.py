"""What would become of a request, step by step. The settings and decide() say it; nothing is sent,
and nothing changed.
"""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import assert_never
from urllib.parse import urljoin, urlsplit

from extproc.contract import FORWARDED
from extproc.core.application import Application
from extproc.core.decide import decide
from extproc.core.decisions import (
    BackChannelLogout,
    Continue,
    Decision,
    EndListedSessions,
    EndSession,
    FrontChannelLogout,
    ListSessions,
    LoadSession,
    RedeemCode,
    Refresh,
    Respond,
    StartLogin,
)
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.navigation import is_prefetch, is_user_navigation
from extproc.core.provider_logout import is_back_channel
from extproc.core.reasons import REASONS
from extproc.core.session import Session
from extproc.envoyconfig.snapshot import generated
from extproc.explain.assertion import asserted
from extproc.explain.route import Chosen, choose, normalized, refused, remedy
from extproc.settings import Settings
from extproc.settings.domain import applications

NAVIGATION = (
    ("accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
)
_OWN_WORD = ("accept", "sec-fetch-mode", "sec-fetch-dest", "sec-fetch-site")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the operator says it. url: absolute, or a path on gateway.url; headers: names in
    lower case.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at; verdict: what comes of it all, with the remedy of its
    reason.
    """

    what: str
    verdict: bool = False
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The session of a request, if it has one. `known` is False where the store could not be read:
    then nobody knows.
    """

    session: Session | None
    said: str
    known: bool = True


FindSession = Callable[[Settings, Application, Request, int], Found]


def explain(settings: Settings, asked: Asked, find: FindSession) -> Iterator[Step]:
    """What would become of a request. The last step is the verdict.

    `find` looks for its session, and reads the store for it: `explain.session.find`.
    """
    url = urljoin(settings.gateway.url, asked.url)
    headers = asked.headers
    if not any(name in _OWN_WORD for name, _ in headers):
        headers = (*NAVIGATION, *headers)
        yield Step(
            "no Accept or Sec-Fetch header was given: it is taken for a navigation, as from "
            "a browser's address bar"
        )
    yield from _cleaned(settings, headers)
    parts = urlsplit(url)
    front = generated(settings).listeners[0]
    if why := refused(front, parts.path, headers):
        yield Step(f"400 by Envoy: {why}", verdict=True)
        return
    path = normalized(parts.path or "/")
    if path != (parts.path or "/"):
        yield Step(f"Envoy reads the path as {path}")
    if re.search(r"/\.\.?;", path):
        yield Step(
            "Envoy 1.40 resolves ..; as it does .., and Envoy 1.36 leaves it; what follows "
            "is for Envoy 1.36"
        )
    target = path + (f"?{parts.query}" if parts.query else "")
    request = Request(
        "", False, asked.method, target, parts.netloc.rpartition("@")[2], _forwarded(headers)
    )
    chosen = choose(front, request)
    if chosen is None:
        yield Step("Envoy has no route for it: 404", verdict=True)
        return
    yield Step(
        f"the host {request.host} matches {chosen.domain}, and the path the route {chosen.name}"
    )
    if not chosen.application:
        yield _unasked(settings, chosen)
        return
    application = applications(settings, settings.key_ring())[chosen.application]
    decided_for = Request(
        application.name, chosen.public, request.method, target, request.authority, request.headers
    )
    yield from _decided(settings, application, decided_for, chosen, find)


def _cleaned(settings: Settings, headers: tuple[tuple[str, str], ...]) -> Iterator[Step]:
    for name, _ in headers:
        if name.startswith(settings.identity.header_prefix):
            yield Step(
                f"the header {name} is removed: what a client says of its identity counts "
                "for nothing"
            )
        elif name not in FORWARDED.values() and not name.startswith(":"):
            yield Step(f"the header {name} has no say: the processor does not get it")


def _forwarded(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name, value)
        for name, value in headers
        if name in FORWARDED.values() and not name.startswith(":")
    )


def _unasked(settings: Settings, chosen: Chosen) -> Step:
    if chosen.answer is not None:
        status, said = chosen.answer
        return Step(
            f"Envoy answers {status} by itself: {said}", verdict=True, remedy=remedy(chosen.name)
        )
    name = chosen.cluster.removeprefix("application-")
    upstream = (
        settings.applications[name].upstream if name in settings.applications else chosen.cluster
    )
    return Step(
        f"goes on to {upstream}: the application {name} is excluded (exclude: true), nobody "
        "is asked",
        verdict=True,
    )


def _decided(
    settings: Settings,
    application: Application,
    request: Request,
    chosen: Chosen,
    find: FindSession,
) -> Iterator[Step]:
    now = int(time.time())
    kind = (
        "an endpoint of ours"
        if request.path.startswith(application.endpoints)
        else "public"
        if chosen.public
        else "protected"
    )
    yield Step(f"the application is {application.name}, and the path is {kind}")
    if is_back_channel(application, request):
        yield Step(
            "the provider's logout: the processor reads the body, and verifies the logout "
            "token in it",
            verdict=True,
        )
        return
    if chosen.assertion and (why := asserted(settings, application, request, now)):
        upstream = settings.applications[application.name].upstream
        yield Step(
            f"goes on to {upstream} with its identity headers by Envoy alone: {why}", verdict=True
        )
        return
    if chosen.assertion:
        yield Step(
            f"there is no cookie {application.cookies.assertion} that Envoy believes: it "
            "asks the processor"
        )
    found = find(settings, application, request, now)
    yield Step(found.said)
    if found.session is None or not found.session.sufficient(application, now):
        yield Step(navigation(request))
    yield _verdict(settings, application, request, found, now)


def navigation(request: Request) -> str:
    """Why it is a navigation, or none. See is_user_navigation."""
    yes = is_user_navigation(request)
    mode, so = (
        request.header("sec-fetch-mode"),
        "so a person looks at it" if yes else "so it is no page that a person looks at",
    )
    if request.header("upgrade"):
        return "it is an upgrade, " + so
    if is_prefetch(request):
        return "the browser asks ahead of time (Sec-Purpose or Purpose), " + so
    if mode:
        return (
            f"{request.method} with Sec-Fetch-Mode {mode}, Sec-Fetch-Dest "
            f"{request.header('sec-fetch-dest') or 'none'}: {so}"
        )
    html = (
        "accepts HTML"
        if "text/html" in request.header("accept").lower()
        else "does not ask for HTML"
    )
    return f"{request.method} without Sec-Fetch-Mode, and it {html}: {so}"


def _verdict(
    settings: Settings, application: Application, request: Request, found: Found, now: int
) -> Step:
    unsure = "" if found.known else "where there is no session: "
    try:
        decision = decide(application, request, found.session, now)
    except Refusal as problem:
        remedy = REASONS[problem.reason].remedy
        return Step(
            f"{unsure}{problem.status} {problem.reason}: {problem.row.text}",
            verdict=True,
            remedy=remedy,
        )
    return Step(
        unsure + _words(settings, application, decision), verdict=True, remedy=_remedy(decision)
    )


def _remedy(decision: Decision) -> str:
    reason = (
        decision.reason
        if isinstance(decision, Continue | Respond)
        else "login_started"
        if isinstance(decision, StartLogin)
        else ""
    )
    return REASONS[reason].remedy if reason in REASONS else ""


def _words(  # noqa: PLR0911
    settings: Settings, application: Application, decision: Decision
) -> str:
    provider = settings.applications[application.name].provider
    match decision:
        case Continue():
            headers = ", ".join(name for name, _ in decision.set_headers) or "no identity"
            return (
                f"goes on to {settings.applications[application.name].upstream} with {headers} "
                f"({decision.reason})"
            )
        case Respond():
            to = f" to {_bare(decision.location)}" if decision.location else ""
            return f"{decision.status} {decision.reason}{to}"
        case StartLogin():
            back = decision.return_to.partition("?")[0]
            return (
                f"303 to the login page of {provider} "
                f"({settings.providers[str(provider)].issuer}), and afterwards back to {back}"
            )
        case RedeemCode():
            return (
                f"the end of a login of this browser: the code is redeemed at {provider}; it is "
                "not tried here"
            )
        case Refresh():
            return f"its tokens are due: they are renewed at {provider} first; it is not tried here"
        case EndSession():
            return f"the session ends, and the browser goes on to {provider} to end it there, too"
        case FrontChannelLogout() | BackChannelLogout():
            return "the sessions that the provider names end"
        case ListSessions():
            return "the page with the user's own sessions"
        case EndListedSessions():
            return "the user ends sessions of their own"
        case LoadSession():
            return "the store is asked first"
        case _:
            assert_never(decision)


def _bare(location: str) -> str:
    return location.partition("?")[0]
