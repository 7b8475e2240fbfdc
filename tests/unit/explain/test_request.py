"""What would become of a request."""

from typing import Any

import pytest
from harness.envoy_config import APP
from harness.envoy_parts import SESSION, assertion
from harness.ruled import ALICE, BOB, EVE, application, ruled
from harness.two_applications import made, two

from extproc.core.application import Application
from extproc.core.http import Request
from extproc.explain.outcome import User, session_of
from extproc.explain.request import SessionLookup, explain
from extproc.explain.sample import NAVIGATION, SampleRequest
from extproc.explain.session import find
from extproc.settings import Settings


@pytest.mark.parametrize(
    ("path", "route", "says"),
    [
        ("/%2e%2e;/x", ":dot-segments", "applications.NAME.dot_segments: keep lets it through"),
        ("/PAYROLL;x/y", "outer:reads-as:inner", "set applications.outer.upstream_paths: exact"),
        ("/payrolls/x", "outer", ""),
    ],
)
def test_explain_names_the_rule_and_the_setting(path: str, route: str, says: str) -> None:
    steps = list(
        explain(
            two({"exclude": True, "provider": None}, {}),
            SampleRequest("GET", f"http://localhost:8080{path}", ()),
            find,
        )
    )
    assert steps[-2].what.endswith(f"the path the route {route}"), steps
    assert (
        steps[-1].verdict and says in steps[-1].remedy and bool(steps[-1].remedy) == bool(says)
    ), steps
    assert steps[-1].what.startswith(
        "Envoy itself answers 400" if says else "forwarded to http://127.0.0.1:9600"
    )


def test_explain_says_that_envoys_differ() -> None:
    steps = [
        each.what
        for each in explain(
            two({}, {}), SampleRequest("GET", "http://localhost:8080/a/..;/x", ()), find
        )
    ]
    assert any("Envoy 1.40 resolves ..; like" in step for step in steps)


PORTAL, EVIL = "https://portal.test", "https://evil.test"
ASKS = ("access-control-request-method", "DELETE")
BOTH = {
    "api": {"path_prefix": "/api/", "cors": {"origins": [PORTAL]}},
    "self": {"path_prefix": "/self/", "preflight": "pass"},
    "plain": {"path_prefix": "/plain/"},
}
PASSED = "forwarded to http://127.0.0.1:9600 without an identity: the application self answers"


@pytest.mark.parametrize(
    ("path", "headers", "verdict", "todo"),
    [
        (
            "/api/x",
            (("origin", PORTAL), ASKS),
            f"Envoy itself answers the preflight 200: pages of {PORTAL} may use GET, HEAD, POST;",
            "the browser refuses DELETE; list it in applications.api.cors.methods",
        ),
        (
            "/api/x",
            (("origin", EVIL), ASKS),
            "Envoy itself answers 403: A page of another address may not do this here.",
            "if that page may read answers, list its origin in applications.api.cors.origins",
        ),
        ("/self/x", (("origin", EVIL), ASKS), PASSED, ""),
        ("/self/x", (("origin", EVIL), ASKS, ("authorization", "Bearer x")), "401 login_req", ""),
        ("/self/x", (("origin", EVIL), ASKS, ("cookie", "a=b")), "401 login_required", ""),
        ("/self/x", (("origin", EVIL), ASKS, ("content-length", "1")), "401 login_required", ""),
        ("/self/x", (("origin", EVIL),), "401 login_required", ""),
        ("/plain/x", (("origin", EVIL), ASKS), "401 login_required", ""),
    ],
)
def test_explain_tells_the_fate_of_a_preflight(
    path: str, headers: tuple[tuple[str, str], ...], verdict: str, todo: str
) -> None:
    asked = (("accept", "*/*"), *headers)
    found = made(**{name: {**APP, **change} for name, change in BOTH.items()})
    url = f"http://localhost:8080{path}"
    *_, last = explain(found, SampleRequest("OPTIONS", url, asked), find)
    assert last.verdict and last.what.startswith(verdict), last
    assert not todo or last.remedy == todo


def test_explain_says_whether_a_page_may_read_the_answer() -> None:
    found = made(api={**APP, **BOTH["api"]})
    for origin, says in ((PORTAL, "its pages may read the answer"), (EVIL, "cannot read")):
        asked = (("accept", "*/*"), ("origin", origin))
        url = "http://localhost:8080/api/x"
        steps = list(explain(found, SampleRequest("GET", url, asked), find))
        assert any(says in step.what for step in steps)
        assert steps[-1].what.startswith("401 login_required")


def told(
    path: str,
    claims: dict[str, Any] | None = None,
    made: Settings | None = None,
    method: str = "GET",
    **ages: Any,
) -> list[str]:
    """What explain says of a request of a user with these claims."""

    def look_up(_: Settings, app: Application, __: Request, now: int) -> SessionLookup:
        if claims is None:
            return SessionLookup(None, "no session")
        return SessionLookup(session_of(app, User(claims, **ages), now), "a session")

    sample = SampleRequest(method, path, NAVIGATION)
    steps = explain(made or ruled(), sample, look_up)
    return [f"{step.what} → {step.remedy}" if step.remedy else step.what for step in steps]


def test_the_rule_that_decides_is_named_with_each_condition() -> None:
    *_, session, one, two, three, verdict = lines = told("/admin/x", BOB)
    assert "the rule admin decides: /admin/" in lines and session == "a session"
    assert [one, two, three] == [
        "allow.groups holds (staff)",
        "rules.admin.allow.groups does not hold (admins)",
        "rules.admin.allow.acr_values does not hold (mfa)",
    ]
    assert verdict.startswith("403 not_allowed: ") and "(rules.admin.allow.groups)" in verdict


def test_the_rule_in_shadow_mode_has_its_conditions_and_what_it_would_have_refused() -> None:
    *_, allow, tried, verdict = lines = told("/new/x", BOB)
    assert "the rule tried, in shadow mode, takes it as well" in lines
    assert (allow, tried) == (
        "allow.groups holds (staff)",
        "rules.tried.allow.groups does not hold (old)",
    )
    assert "forwarded to" in verdict
    assert "the rule in shadow mode would have refused it: rules.tried.allow.groups" in verdict


def test_nothing_of_a_user_is_shown_but_what_the_settings_name() -> None:
    assert "CANARY" not in "".join(told("/admin/", EVE))


def test_a_login_that_a_rule_demands_is_named() -> None:
    (*_, verdict) = told("/admin/", {**ALICE, "acr": "pwd"})
    assert verdict.startswith("303 to the login page of main (https://idp.example) with acr_values")
    (*_, verdict) = told("/fresh/", BOB, auth_age=5000)
    assert "with max_age 600, and after the login to /fresh/" in verdict
    (*_, verdict) = told("/", None)
    assert verdict == (
        "303 to the login page of main (https://idp.example), and after the login to /"
    )


def test_without_a_session_no_condition_is_compared() -> None:
    lines = told("/admin/", None)
    assert "the rule admin decides: /admin/" in lines
    assert not any("hold" in line for line in lines)


@pytest.mark.parametrize(
    ("path", "method", "verdict"),
    [
        ("/ADMIN/", "GET", "Envoy itself answers 400"),
        ("/api/", "PUT", "Envoy itself answers 405"),
        ("/metrics", "GET", "Envoy itself answers 403"),
    ],
)
def test_what_envoy_refuses_by_a_rule_has_its_remedy(path: str, method: str, verdict: str) -> None:
    last = told(path, ALICE, method=method)[-1]
    assert last.startswith(verdict) and "applications.app." in last


def test_networks_are_named_and_nobody_is_asked_where_login_is_none() -> None:
    *_, networks, verdict = told("/hooks/", ALICE)
    assert networks.startswith("Envoy answers 403 unless the client's address is in 10.0.0.0/8")
    assert "the rule hooks of the application app has login: none" in verdict


def test_an_assertion_for_another_rule_is_not_accepted() -> None:
    made = ruled()
    access = application(made).access
    for rule, by_envoy in (("admin", True), ("read", False)):
        # It outlives the explanation on a loaded machine, too.
        token = assertion(made, "app", audiences=[access.audience(rule)], life=3600)
        cookies = f"extproc-session-app={SESSION.cookie}; extproc-assertion-app={token}"
        sample = SampleRequest("GET", "/admin/", (*NAVIGATION, ("cookie", cookies)))
        steps = list(explain(made, sample, lambda *_: SessionLookup(None, "no session")))
        assert ("by Envoy alone" in steps[-1].what) is by_envoy
        assert "the rule admin decides: /admin/" in [step.what for step in steps]


def test_an_endpoint_of_the_processor_has_no_rule() -> None:
    assert not any("rule" in line for line in told("/oauth2/login", BOB))
