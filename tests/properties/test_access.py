"""For any rules, request and user: the generated routes, the core's own matcher, the processor's
decision and the assertion say what the reference says.
"""

from dataclasses import replace
from itertools import product
from typing import Any

import hypothesis
import pytest
from harness.envoy_config import APP, simple
from harness.random_rules import METHODS, REQUESTED, Outcome, reference, requests, sections, users
from harness.tokens import ISSUER, NOW, application, request, token_profile
from hypothesis import Phase, given

from extproc.core.access import Access
from extproc.core.bearer import decide_bearer, presented
from extproc.core.bearer_errors import TokenRequired
from extproc.core.decide import decide
from extproc.core.decisions import Continue, Decision, StartLogin
from extproc.core.errors import NotAllowed
from extproc.core.http import Request
from extproc.core.oidc.access_token import AccessToken
from extproc.core.oidc.claims import Claims
from extproc.core.session import Session, SessionId
from extproc.core.session_access import audiences
from extproc.envoyconfig.snapshot import generated
from extproc.explain.route import ChosenRoute, choose
from extproc.settings import Settings
from extproc.settings.domain_access import access

ASKED = tuple(product(REQUESTED, (*METHODS, "get", "FROB")))
USERS = (None, [], ["g"], ["h"], ["g", "h"])


TRIED: tuple[tuple[str, list[str]], ...] = (
    ("/t", ["g"]),
    ("/t", ["h"]),
    ("/o", ["h"]),
    ("/x", ["g"]),
)


def made_of(section: dict[str, Any]) -> Settings:
    return simple(applications={"app": {**APP, "csrf": "off", **section}})


def session_of(groups: list[str]) -> Session:
    claims = Claims({"groups": groups})
    return Session(
        SessionId.of(b"s" * 32), ISSUER, "alice", claims, "idt", "at", None, NOW + 300, NOW, NOW + 9000, NOW
    )  # fmt: skip


def token_of(groups: list[str]) -> AccessToken:
    claims = Claims({"groups": groups})
    return AccessToken(
        token_profile(), "alice", None, frozenset(), claims, None, None, NOW, NOW + 300
    )


def decided(
    section: Access,
    rule: str,
    shadow: str,
    groups: list[str] | None,
    public: bool,
    credential: str = "session",
) -> str:
    """What the processor makes of a browser's navigation that a route brings to it."""
    app = application(access=section)
    by_token = credential == "bearer" and groups is not None
    sent = request("/x", authorization="Bearer x" if by_token else "")
    routed = Request(
        "app",
        public,
        sent.method,
        sent.target,
        sent.authority,
        sent.headers,
        access=section.digest,
        rule=rule,
        shadow=shadow,
    )
    session = session_of(groups) if groups is not None and not by_token else None
    try:
        if groups is not None and presented(app, routed) is not None:
            decision: Decision = decide_bearer(app, routed, token_of(groups), NOW)
        else:
            decision = decide(app, routed, session, NOW)
    except NotAllowed:
        return "refused"
    except TokenRequired:
        return "token"
    match decision:
        case StartLogin():
            return "login"
        case Continue():
            return "identity" if dict(decision.set_headers).get("x-auth-groups") else "passes"
    raise AssertionError(decision)


# Envoy's configuration for a section takes half a second to make, so every request and every user is
# tried with each. A section that fails is short, and to shorten it would take minutes.
@pytest.mark.threat("rules")
@hypothesis.settings(max_examples=25, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(section=sections)
def test_what_envoy_decides_the_processor_decides_and_both_what_is_written(
    section: dict[str, Any],
) -> None:
    settings = made_of(section)
    core = access(settings, "app")
    listener = generated(settings).listeners[0]
    for path, method in ASKED:
        plain = Request("", False, method, path, "localhost")
        for groups, credential in product(USERS, ("session", "bearer")):
            headers = (("authorization", "Bearer x"),) if credential == "bearer" else ()
            route = choose(listener, replace(plain, headers=headers))
            assert route is not None
            expected = reference(section, path, method, groups, credential)
            try:
                one_is_decided_as_written(core, route, path, method, groups, expected, credential)
            except AssertionError as error:
                error.add_note(f"{method} {path}, groups of the user: {groups}, by {credential}")
                raise


def one_is_decided_as_written(
    core: Access,
    route: ChosenRoute,
    path: str,
    method: str,
    groups: list[str] | None,
    expected: Outcome,
    credential: str,
) -> None:
    matched = core.match(path, method)
    if expected.what in ("405", "403"):
        assert route.answer is not None and str(route.answer.status) == expected.what
        rule = matched.rule
        assert rule is None if expected.what == "405" else rule is not None and rule.deny
        return
    assert route.answer is None
    assert matched.rule is not None and matched.rule.name == expected.rule
    if matched.rule.login == "none":
        assert route.application == "" and expected.what == "passes"
        return
    assert (matched.shadow.name if matched.shadow else "") == expected.shadow
    assert route.application == "app"
    # The rules that the route names in gRPC metadata.
    brought = route.rule, route.shadow
    assert brought == (expected.rule, expected.shadow)
    by_envoy = bool(
        route.audiences
        and groups is not None
        and admits(core, brought, groups)
        and core.audience(*brought) in route.audiences
    )
    # An assertion beside a token decides nothing.
    assert not by_envoy or credential == "session" or not matched.rule.accepts_bearer
    if groups:
        by_processor = decided(core, *brought, groups, route.public, credential)
        assert by_processor == expected.what
        assert not by_envoy or expected.what == "identity" or credential == "bearer"
    elif groups is None:
        assert decided(core, *brought, None, route.public) == expected.what
        assert not by_envoy
    else:
        # A user without groups has no header that would show the identity.
        assert by_envoy <= (expected.what == "identity" or credential == "bearer")


def admits(core: Access, brought: tuple[str, str], groups: list[str]) -> bool:
    """Whether Envoy admits a user by an assertion that the processor mints."""
    app = application(access=core)
    return core.audience(*brought) in audiences(app, session_of(groups), NOW, NOW + 60)


@given(section=sections, asked=requests, groups=users)
def test_a_user_whom_the_reference_admits_needs_no_processor_unless_a_shadow_refuses(
    section: dict[str, Any], asked: tuple[str, str], groups: list[str] | None
) -> None:
    expected = reference(section, *asked, groups)
    if groups is None or expected.what != "identity" or expected.shadow:
        return
    core = access(made_of(section), "app")
    if not core.digest:
        return
    assert admits(core, (expected.rule, ""), groups)


def test_the_reference_knows_every_outcome() -> None:
    section: dict[str, Any] = {
        "allow": [{"groups": ["g"]}],
        "rules": [
            {"name": "r0", "paths": ["/a"], "methods": ["GET"], "deny": True},
            {"name": "r1", "paths": ["/b/"], "login": "optional", "allow": [{"groups": ["h"]}]},
            {"name": "r2", "paths": ["/"], "methods": ["GET"], "mode": "shadow"},
            {"name": "r3", "paths": ["/t"], "accept": ["bearer"]},
            {"name": "r4", "paths": ["/o"], "accept": ["bearer", "session"], "login": "optional"},
        ],
    }
    outcomes = [
        reference(section, path, method, groups)
        for path, method, groups in (
            ("/a/b", "GET", None),
            ("/a/b", "POST", None),
            ("/b", "POST", ["g"]),
            ("/b", "POST", ["g", "h"]),
            ("/x", "GET", None),
            ("/x", "POST", ["h"]),
        )
    ]
    assert outcomes == [
        Outcome("403", "r0"),
        Outcome("405"),
        Outcome("passes", "r1"),
        Outcome("identity", "r1"),
        Outcome("login", "", "r2"),
        Outcome("refused"),
    ]
    by_token = [reference(section, path, "POST", groups, "bearer") for path, groups in TRIED]
    assert by_token == [
        Outcome("identity", "r3"),
        Outcome("refused", "r3"),
        Outcome("refused", "r4"),
        Outcome("login"),
    ]
    assert reference(section, "/t", "POST", ["g"]) == Outcome("token", "r3")
    assert reference(section, "/o", "POST", ["h"]) == Outcome("passes", "r4")
