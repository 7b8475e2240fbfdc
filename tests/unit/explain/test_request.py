"""What would become of a request."""

import pytest
from harness.envoy_config import APP
from harness.two_applications import made, two

from extproc.explain.request import explain
from extproc.explain.sample import SampleRequest
from extproc.explain.session import find


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
