"""Whether the route that Envoy chose and the rules of the core agree about a request.

The core has one matcher (core/access.py), and Envoy's routes are generated beside it. Where the two
differ, one of them lets somebody in whom the other keeps out.
"""

from extproc.core.access_rules import Rule
from extproc.core.application import Application
from extproc.core.http import AUTHORIZATION, Request
from extproc.core.session import Session
from extproc.core.session_access import audiences
from extproc.envoyconfig.routes import PREFLIGHT
from extproc.envoyconfig.rules import DENIED, METHOD
from extproc.explain.route import ChosenRoute


def disagreement(application: Application, request: Request, route: ChosenRoute) -> str:
    """What Envoy's route and the rules say differently about a request; "" if they agree, or where
    no rule is asked.

    Args:
        application: the application that the route is of.
        request: the request as Envoy chooses a route by it.
        route: the route.
    """
    if request.path.startswith(application.endpoints) or _is_before_rules(route):
        return ""
    match = application.access.match(request.path, request.method)
    refusing = route.name.rpartition(":")[2] if route.answer is not None else ""
    if match.rule is None or refusing == METHOD:
        agree = match.rule is None and refusing == METHOD
        return "" if agree else f"{_route(route)}, and {_core(match.rule)}"
    if route.rule != match.rule.name or match.rule.deny != (refusing == DENIED):
        return f"{_route(route)}, and {_core(match.rule)}"
    if match.rule.deny:
        return ""
    shadow = match.shadow.name if match.shadow is not None else ""
    return _details(application, request, route, match.rule, shadow)


def _is_before_rules(route: ChosenRoute) -> bool:
    """Whether a route takes its requests before the rules are looked at: it refuses them by
    another reason, passes a preflight on, or is of a public path.
    """
    if route.answer is not None:
        return route.name.rpartition(":")[2] not in (METHOD, DENIED)
    return route.name == f"{route.owner}:{PREFLIGHT}" or ":public:" in route.name


def _details(
    application: Application, request: Request, route: ChosenRoute, rule: Rule, shadow: str
) -> str:
    """What a route does in another way than its rule says.

    Args:
        application: the application.
        request: the request as Envoy chooses a route by it.
        route: the route.
        rule: the rule that both name.
        shadow: the rule in shadow mode that the core names beside it, or "".
    """
    asked = bool(route.application)
    wanted = application.access.audience(rule.name, shadow)
    by_token = rule.accepts_bearer and request.header(AUTHORIZATION) != ""
    differs = {
        f"does not fit login: {rule.login}": asked == (rule.login == "none")
        or (asked and route.public != (rule.login == "optional")),
        "does not fit networks of the rule": bool(route.networks) != rule.networks,
        "does not fit client_certificate of the rule": (route.certificate is not None)
        != rule.client_certificate,
        "has another rule in shadow mode than the settings": asked and route.shadow != shadow,
        "was made from other rules": asked and route.access != application.access.digest,
        "accepts assertions of another rule": any(each != wanted for each in route.audiences),
        "accepts assertions, and its rule no session": bool(route.audiences)
        and (by_token or not rule.accepts_session),
    }
    found = next((what for what, is_so in differs.items() if is_so), None)
    return f"Envoy's route {route.name} {found}" if found is not None else ""


def admitted_by_envoy(
    application: Application, session: Session, route: ChosenRoute, now: int
) -> bool:
    """Whether Envoy alone would let a request in by the assertion that the processor mints for a
    session now, when it admits a request for some page.

    Args:
        application: the application.
        session: the session.
        route: the route.
        now: seconds since the epoch.
    """
    if application.assertion_lifetime == 0 or not session.sufficient(application, now):
        return False
    ends = min(now + application.assertion_lifetime, session.not_after(application, now))
    return not set(audiences(application, session, now, ends)).isdisjoint(route.audiences)


def _route(route: ChosenRoute) -> str:
    return f"Envoy chooses the route {route.name}"


def _core(rule: Rule | None) -> str:
    if rule is None:
        return "the settings have no rule for the method"
    return f"the settings choose the rule {rule.name}" if rule.name else "the settings choose none"
