"""Envoy's route and the rules of the core are compared, so that neither is believed alone."""

from dataclasses import replace
from typing import Any

import pytest
from harness.ruled import ALICE, BOB, application, certified, ruled

from extproc.contract import PUBLIC, RULE
from extproc.core.application import Application
from extproc.core.http import Request
from extproc.envoyconfig.snapshot import HttpListener, generated
from extproc.explain.agreement import admitted_by_envoy, disagreement
from extproc.explain.client_certificate import CertificateDemand
from extproc.explain.outcome import Judge, User, session_of
from extproc.explain.route import ChosenRoute, choose
from extproc.explain.sample import SampleRequest

NOW = 1_800_000_000
MADE = ruled()


@pytest.fixture(scope="module")
def listener() -> HttpListener:
    return generated(MADE).listeners[0]


@pytest.fixture(scope="module")
def app() -> Application:
    return application(MADE)


def chosen(
    listener: HttpListener, path: str, method: str = "GET", **headers: str
) -> tuple[Request, ChosenRoute]:
    sent = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    request = Request("", False, method, path, "localhost", sent)
    route = choose(listener, request)
    assert route is not None
    return request, route


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/", "GET"),
        ("/", "FROBNICATE"),
        ("/admin/x", "GET"),
        ("/ADMIN/x", "GET"),
        ("/api/", "GET"),
        ("/api/", "PUT"),
        ("/hooks/", "POST"),
        ("/docs/old/", "GET"),
        ("/metrics", "GET"),
        ("/new/", "GET"),
        ("/public/x", "GET"),
        ("/public/x", "FROBNICATE"),
        ("/oauth2/login", "GET"),
        ("/oauth2/login", "FROBNICATE"),
        ("/a%2Fb", "GET"),
    ],
)
def test_generated_routes_agree_with_the_rules(
    listener: HttpListener, app: Application, path: str, method: str
) -> None:
    request, route = chosen(listener, path, method)
    assert disagreement(app, request, route) == ""


@pytest.mark.parametrize(
    ("path", "method", "changes", "says"),
    [
        ("/admin/", "GET", {"rule": ""}, "the settings choose the rule admin"),
        ("/", "GET", {"rule": "admin"}, "the settings choose none"),
        ("/admin/", "GET", {"rule": "docs"}, "the settings choose the rule admin"),
        ("/admin/", "GET", {"public": True}, "does not fit login: required"),
        ("/admin/", "GET", {"application": ""}, "does not fit login: required"),
        ("/docs/", "GET", {"public": False}, "does not fit login: optional"),
        ("/hooks/", "GET", {"application": "app"}, "does not fit login: none"),
        ("/hooks/", "GET", {"networks": ()}, "does not fit networks"),
        ("/inside/", "GET", {"networks": ()}, "does not fit networks"),
        (
            "/admin/",
            "GET",
            {"certificate": CertificateDemand(None, ("a",))},
            "does not fit client_certificate",
        ),
        ("/new/", "GET", {"shadow": ""}, "another rule in shadow mode"),
        ("/admin/", "GET", {"access": "0" * 16}, "was made from other rules"),
        ("/admin/", "GET", {"audiences": ("app",)}, "assertions of another rule"),
        ("/metrics", "GET", {"answer": None, "name": "app:rule:metrics"}, "the rule metrics"),
        ("/api/", "PUT", {"answer": None, "name": "app"}, "no rule for the method"),
    ],
)
def test_a_route_that_differs_from_the_rules_is_named(
    listener: HttpListener,
    app: Application,
    path: str,
    method: str,
    changes: dict[str, Any],
    says: str,
) -> None:
    request, route = chosen(listener, path, method)
    assert says in disagreement(app, request, replace(route, **changes))


def test_a_route_that_asks_for_no_certificate_is_named() -> None:
    asking = {"name": "in", "paths": ["/in/"], "client_certificate": {"sans": ["a"]}}
    made = certified(asking)
    request, route = chosen(generated(made).listeners[0], "/in/")
    assert disagreement(application(made), request, route) == ""
    open_to_all = replace(route, certificate=None)
    said = disagreement(application(made), request, open_to_all)
    assert said.endswith("does not fit client_certificate of the rule")


def test_a_refusal_of_a_method_that_a_rule_takes_is_named(
    listener: HttpListener, app: Application
) -> None:
    _, refusing = chosen(listener, "/api/", "PUT")
    request, _ = chosen(listener, "/api/")
    assert "the settings choose the rule read" in disagreement(app, request, refusing)


def test_envoy_alone_lets_in_whom_the_processor_would_admit_until_the_assertion_ends(
    listener: HttpListener, app: Application
) -> None:
    _, admin = chosen(listener, "/admin/")
    _, api = chosen(listener, "/api/")
    alice, bob = (session_of(app, User(each), NOW) for each in (ALICE, BOB))
    assert admitted_by_envoy(app, alice, admin, NOW)
    assert not admitted_by_envoy(app, bob, admin, NOW)
    assert not admitted_by_envoy(replace(app, assertion_lifetime=0), alice, admin, NOW)
    late = session_of(app, User(BOB, claims_age=890), NOW)
    assert admitted_by_envoy(app, bob, api, NOW) and not admitted_by_envoy(app, late, api, NOW)


def test_an_envoy_with_routes_of_other_rules_makes_every_outcome_doubtful() -> None:
    """The routes of yesterday's settings, which know no rule admin."""
    old = generated(ruled(rules=[])).listeners[0]
    got = Judge(MADE, NOW, old).outcome(SampleRequest("GET", "/admin/"), User(ALICE))
    assert got.word == "allow" and "the settings choose the rule admin" in got.fault


def test_an_assertion_by_which_envoy_alone_would_let_a_refused_user_in_is_a_fault() -> None:
    made = ruled()
    listener = generated(made).listeners[0]
    assertion = listener.filter("assertion")
    assert assertion is not None
    requirements = assertion["typed_config"]["requirement_map"]
    requirements["app:admin"] = requirements["app"]
    got = Judge(made, NOW, listener).outcome(SampleRequest("GET", "/admin/"), User(BOB))
    assert got.status == 403 and "accepts assertions of another rule" in got.fault


def test_a_public_route_that_admits_more_than_the_processor_is_a_fault() -> None:
    """Of public paths no rule is compared, so only the outcome shows it."""
    made = ruled()
    listener = generated(made).listeners[0]
    route = next(
        each
        for host in listener.hosts
        for each in host.routes
        if each["name"] == "app:public:/public/"
    )
    overrides = route["typed_per_filter_config"]["decide"]["overrides"]
    kept = [each for each in overrides["grpc_initial_metadata"] if each["key"] != PUBLIC]
    overrides["grpc_initial_metadata"] = [*kept, {"key": RULE, "value": "admin"}]
    got = Judge(made, NOW, listener).outcome(SampleRequest("GET", "/public/"), User(BOB))
    assert got.status == 403 and got.fault.startswith("Envoy alone would let the user in")


@pytest.mark.parametrize(
    ("accept", "authorization", "says"),
    [
        (["bearer"], "", "accepts assertions, and its rule no session"),
        (["bearer"], "Bearer t", "accepts assertions, and its rule no session"),
        (["bearer", "session"], "Bearer t", "accepts assertions, and its rule no session"),
        (["bearer", "session"], "", ""),
        (["session"], "Bearer t", ""),
    ],
)
def test_an_assertion_admits_nobody_where_a_token_decides(
    accept: list[str], authorization: str, says: str
) -> None:
    made = ruled(rules=[{"name": "api", "paths": ["/api/"], "accept": accept}])
    app = application(made)
    headers = {"authorization": authorization} if authorization else {}
    request, route = chosen(generated(made).listeners[0], "/api/x", **headers)
    assert disagreement(app, request, route) == ""
    other = replace(route, audiences=(app.access.audience("api"),))
    assert says in disagreement(app, request, other)
    assert bool(disagreement(app, request, other)) == bool(says)
