"""Decisions, kinds of requests and time spans in words, for the operator."""

from typing import Literal, assert_never

from extproc.core.application import Application
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
    Step,
    VerifyAccessToken,
)
from extproc.core.errors import InsufficientAuthentication, LoginRequired, Refusal
from extproc.core.http import Request
from extproc.core.navigation import is_prefetch, is_script, is_user_navigation
from extproc.core.reasons import REASONS
from extproc.core.step_up import Demand
from extproc.settings import Settings

Word = Literal["allow", "login", "step_up"]
_UNITS = (("d", 86_400), ("h", 3600), ("min", 60))  # seconds


def time_span(seconds: int) -> str:
    """A time span in the largest unit of which it has at least two."""
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def of_navigation(request: Request) -> str:
    """Why the request counts as a navigation, or why not: see `is_user_navigation`."""
    if is_user_navigation(request):
        result = "so the user sees the answer as a page"
    else:
        result = "so the user does not see the answer as a page"
    if request.header("upgrade"):
        return f"it is an upgrade, {result}"
    if is_prefetch(request):
        return f"the browser fetches it ahead of time (Sec-Purpose or Purpose), {result}"
    mode = request.header("sec-fetch-mode")
    if mode:
        dest = request.header("sec-fetch-dest") or "none"
        return f"{request.method} with Sec-Fetch-Mode {mode} and Sec-Fetch-Dest {dest}, {result}"
    html = "text/html" in request.header("accept").lower()
    accepts = "accepts HTML" if html else "does not accept HTML"
    if is_script(request):
        accepts = "has a header that scripts set"
    return f"{request.method} without Sec-Fetch-Mode, and it {accepts}, {result}"


_OF_STEP: dict[type[Step], str] = {
    FrontChannelLogout: "the sessions that the provider names end",
    BackChannelLogout: "the sessions that the provider names end",
    ListSessions: "the page with the user's own sessions",
    EndListedSessions: "the user ends sessions of their own",
    LoadSession: "the processor reads the store first",
}


def of_decision(  # noqa: PLR0911 - a case each
    settings: Settings, application: Application, decision: Decision
) -> str:
    """What the processor and Envoy do with a decision.

    Args:
        settings: for the application's upstream and provider.
        application: the application that was decided for.
        decision: what `decide` returned.
    """
    provider = settings.applications[application.name].provider
    match decision:
        case Continue():
            upstream = settings.applications[application.name].upstream
            headers = ", ".join(name for name, _ in decision.set_headers) or "no identity"
            shadow = decision.would_refuse
            tried = f"; the rule in shadow mode would have refused it: {shadow}" if shadow else ""
            return f"forwarded to {upstream} with {headers} ({decision.reason}){tried}"
        case Respond():
            target = f" to {_without_query(decision.location)}" if decision.location else ""
            return f"{decision.status} {decision.reason}{target}"
        case StartLogin():
            issuer = settings.providers[str(provider)].issuer
            page = _without_query(decision.return_to)
            return (
                f"303 to the login page of {provider} ({issuer}){_demanded(decision.demand)}, and "
                f"after the login to {page}"
            )
        case RedeemCode():
            return (
                f"the end of a login of this browser: the processor redeems the code at {provider} "
                "(not tried here)"
            )
        case Refresh(stale=True):
            return (
                "its claims are older than max_claims_age of the rule: the processor renews them "
                f"with the tokens at {provider} (not tried here)"
            )
        case Refresh():
            return f"its tokens are due: the processor renews them at {provider} (not tried here)"
        case EndSession():
            return f"the session ends, and the browser goes to {provider} to end it there, too"
        case VerifyAccessToken():
            return f"the access token is verified with the keys of {decision.provider}, or there"
        case (
            FrontChannelLogout()
            | BackChannelLogout()
            | ListSessions()
            | EndListedSessions()
            | LoadSession()
        ):
            return _OF_STEP[type(decision)]
        case _:
            assert_never(decision)


def _demanded(demand: Demand | None) -> str:
    """What a rule demands of a login, as parameters of the authorization request."""
    if demand is None:
        return ""
    asked = [f"acr_values {' '.join(demand.acr_values)}"] if demand.acr_values else []
    if demand.max_age is not None:
        asked.append(f"max_age {demand.max_age}")
    return f" with {' and '.join(asked)}" if asked else ""


def described(
    decision: Decision | Refusal, *, identity: bool, signed_in: bool
) -> tuple[Word | None, int | None, str]:
    """A decision as a word, a status, and a text.

    Args:
        decision: the decision.
        identity: whether an admitted request has one.
        signed_in: whether somebody is.
    """
    match decision:
        case Continue():
            return "allow", None, f"allow, {'with' if identity else 'without'} an identity"
        case StartLogin():
            word: Word = "step_up" if signed_in else "login"
            return word, 303, f"{word} (303 to the provider)"
        case InsufficientAuthentication():
            return "step_up", decision.status, f"step_up ({decision.status} {decision.reason})"
        case LoginRequired():
            return "login", decision.status, f"login ({decision.status} {decision.reason})"
        case Refusal() | Respond():
            return None, decision.status, f"{decision.status} {decision.reason}"
        case _:
            return None, None, f"the processor's own work: {decision.kind}"


def remedy_of(decision: Decision) -> str:
    """What the operator can do about a decision; '' where its reason has no remedy, and for the
    start of a login, because that is how every visit without a session begins.
    """
    if not isinstance(decision, Continue | Respond) or decision.reason not in REASONS:
        return ""
    return REASONS[decision.reason].remedy


def _without_query(location: str) -> str:
    """An address without its query, which may hold secrets."""
    return location.partition("?")[0]
