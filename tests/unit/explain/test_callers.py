"""What becomes of requests that bring access tokens, for `explain` and `test`."""

import json
import time
from typing import Any

import pytest
from harness.envoy_config import APP, simple

from extproc.core.application import Application
from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.http import Request
from extproc.envoyconfig.snapshot import generated
from extproc.explain.callers import Token, TokenLookup, access_token_of
from extproc.explain.cases import Cases, CasesError, parse
from extproc.explain.observation import Observation
from extproc.explain.outcome import User, session_of
from extproc.explain.request import SessionLookup, explain
from extproc.explain.sample import SampleRequest
from extproc.explain.table import run
from extproc.settings import Settings
from extproc.settings.domain import applications

NOW = 1_800_000_000
RULES: list[dict[str, Any]] = [
    {"name": "api", "paths": ["/api/"], "accept": ["bearer"], "allow": {"scopes": ["read", "a b"]}},
    {"name": "both", "paths": ["/both/"], "accept": ["bearer", "session"]},
    {"name": "docs", "paths": ["/docs/"], "login": "optional", "accept": ["bearer"]},
    {"name": "bank", "paths": ["/bank/"], "accept": ["bearer"], "allow": {"max_age": "1m"}},
    {"name": "new", "paths": ["/new/"], "accept": ["bearer"], "max_claims_age": "1m"},
]
MADE = simple(applications={"app": {**APP, "rules": RULES}})
APPLICATION = applications(MADE, MADE.key_ring())["app"]
LISTENER = generated(MADE).listeners[0]
TOKENS = {"machine": {"sub": "machine", "scope": "read"}, "poor": {"sub": "machine"}}
USERS = {"alice": {"sub": "alice"}}


def outcome(made: Settings = MADE, **test: Any) -> tuple[object, str, bool, tuple[str, ...]]:
    """What a test comes to: word or status, the text, whether there is an identity, and why not."""
    document = {"users": USERS, "tokens": TOKENS, "tests": [{"expect": "allow", **test}]}
    cases = parse(json.dumps(document).encode(), "t", made)
    (result,) = run(made, cases, NOW, LISTENER if made is MADE else None)
    assert result.got.fault == ""
    return (
        result.got.word or result.got.status,
        result.got.text,
        result.got.identity,
        result.got.why,
    )


@pytest.mark.parametrize(
    ("test", "comes_to", "identity"),
    [
        ({"url": "/api/x", "token": "machine"}, "allow", True),
        ({"url": "/api/x", "token": {"sub": "m", "scope": "b c a"}}, "allow", True),
        ({"url": "/api/x", "token": "poor"}, 403, False),
        ({"url": "/api/x"}, 401, False),
        ({"url": "/api/x", "user": "alice"}, 401, False),
        ({"url": "/both/x", "user": "alice"}, "allow", True),
        ({"url": "/both/x"}, "login", False),
        ({"url": "/docs/x"}, "allow", False),
        ({"url": "/docs/x", "token": "poor"}, "allow", True),
        # Where no rule accepts it, a token is nothing.
        ({"url": "/x", "token": "machine"}, "login", False),
        ({"url": "/x", "token": "machine", "user": "alice"}, "allow", True),
        # How old it is, and how long ago its user authenticated; a machine's does not say.
        ({"url": "/bank/x", "token": "poor"}, "step_up", False),
        ({"url": "/bank/x", "token": "poor", "auth_age": "30s"}, "allow", True),
        ({"url": "/bank/x", "token": "poor", "auth_age": "5m"}, "step_up", False),
        ({"url": "/new/x", "token": "poor"}, "allow", True),
        ({"url": "/new/x", "token": "poor", "claims_age": "5m"}, 401, False),
        # Other tokens.
        ({"url": "/api/x", "token": {"sub": "m", "aud": "https://other.example/"}}, 401, False),
        ({"url": "/api/x", "token": {"sub": "m", "iss": "https://other.example"}}, 401, False),
        ({"url": "/api/x", "token": {"sub": "m", "nonce": "n"}}, 401, False),
        ({"url": "/api/x", "token": {"sub": "m", "cnf": {}}}, 401, False),
    ],
)
def test_a_token_decides_where_its_rule_accepts_it(
    test: dict[str, Any], comes_to: object, identity: bool
) -> None:
    assert outcome(**test)[:3:2] == (comes_to, identity)


@pytest.mark.parametrize("path", ["/both/x", "/docs/x"])
def test_a_user_beside_a_token_is_nobody(path: str) -> None:
    bad = {"sub": "m", "aud": "other"}
    assert outcome(url=path, user="alice", token=bad)[0] == 401


def test_what_keeps_a_token_out_is_named() -> None:
    (_, text, _, why) = outcome(url="/api/x", token="poor")
    assert text == "403 insufficient_scope"
    assert why == ("rules.api.allow.scopes does not hold (read, a b)",)
    (_, text, _, why) = outcome(url="/api/x", token={"sub": "m", "aud": "other"})
    assert text == "401 bearer_token_audience"
    assert why == ("aud has none of the audiences of the application",)


def test_what_the_provider_would_write_into_a_token_need_not_be_written() -> None:
    own = {"types": ["JWT"], "required_claims": {"token_use": ["access"]}}
    made = simple(
        providers={
            "main": {"issuer": "https://idp.example", "client_id": "c", "access_tokens": own}
        },
        applications={"app": {**APP, "rules": RULES}},
    )
    assert outcome(made, url="/api/x", token="machine")[0] == "allow"
    other = {**TOKENS["machine"], "token_use": "id"}
    assert outcome(made, url="/api/x", token=other)[0] == 401


@pytest.mark.parametrize(
    ("test", "fault"),
    [
        (
            {"token": "nobody"},
            "tests[0].token: there is no token 'nobody'; there are: machine, poor",
        ),
        ({"token": {"scope": "read"}}, "tests[0].token: needs the claim sub, as text"),
        ({"token": {"sub": "m", "iat": 1}}, "claims_age of the test"),
        (
            {"headers": {"Authorization": "Bearer x"}},
            "write the claims of an access token in token",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(test: dict[str, Any], fault: str) -> None:
    document = {"tokens": TOKENS, "tests": [{"url": "/api/x", "expect": 401, **test}]}
    with pytest.raises(CasesError) as caught:
        parse(json.dumps(document).encode(), "t", MADE)
    assert fault in str(caught.value)


def test_a_token_is_not_printed() -> None:
    assert "CANARY" not in repr(Token({"sub": "CANARY"}))


# -- explain ---------------------------------------------------------------------------------------


def told(path: str, lookup: TokenLookup | None = None, header: str = "Bearer t") -> list[str]:
    """What explain says of a request with this Authorization, whose token is what `lookup` says."""

    def find(_: Settings, app: Application, __: Request, now: int) -> SessionLookup:
        return SessionLookup(session_of(app, User({"sub": "alice"}), now), "a session")

    def find_token(_: Settings, __: Application, token: str, ___: int) -> TokenLookup:
        assert token == "t" and lookup is not None
        return lookup

    lines = (("accept", "*/*"), *(("authorization", each) for each in header.split("|") if each))
    steps: list[Observation] = list(
        explain(MADE, SampleRequest("GET", path, lines), find, find_token)
    )
    return [step.what for step in steps]


def token_of(**claims: Any) -> TokenLookup:
    made = access_token_of(APPLICATION, Token({"sub": "m", **claims}), int(time.time()))
    return TokenLookup(made, "a token")


def test_explain_names_the_conditions_of_a_token_and_the_verdict() -> None:
    *_, token, scopes, verdict = told("/api/x", token_of(scope="other"))
    assert token == "a token" and scopes == "rules.api.allow.scopes does not hold (read, a b)"
    assert verdict.startswith("403 insufficient_scope") and "rules.api.allow.scopes" in verdict
    *_, scopes, verdict = told("/api/x", token_of(scope="read"))
    assert scopes == "rules.api.allow.scopes holds (read, a b)"
    assert verdict == "forwarded to http://127.0.0.1:9600 with x-auth-sub (bearer)"


def test_explain_looks_at_no_session_beside_a_token() -> None:
    refusal = InvalidAccessToken("audience", "CAUSE")
    lines = told("/both/x", TokenLookup(None, "the token is not accepted: CAUSE", refusal))
    assert "a session" not in lines and lines[-2].endswith("CAUSE")
    assert lines[-1].startswith("401 bearer_token_audience")
    assert "a session" in told("/both/x", header="")


def test_explain_says_what_it_cannot_find_out() -> None:
    *_, found, verdict = told("/both/x", TokenLookup(None, "UNKNOWN"))
    assert (found, verdict) == ("UNKNOWN", "the processor verifies the token, and decides by it")


@pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Bearer a|Bearer b"])
def test_explain_says_that_a_credential_is_malformed(header: str) -> None:
    assert told("/both/x", header=header)[-1].startswith("400 invalid_authorization")


def test_explain_says_that_a_token_is_needed() -> None:
    *_, needed, verdict = told("/api/x", header="")
    assert needed == "the rule accepts access tokens alone, and the request brings none"
    assert verdict.startswith("401 bearer_token_required")
    assert "a session" not in told("/api/x", header="")


def test_explain_says_that_authorization_is_ignored_where_no_rule_accepts_tokens() -> None:
    sample = SampleRequest("GET", "/", (("accept", "*/*"), ("authorization", "Bearer t")))
    none = SessionLookup(None, "no session")
    first, *_ = (step.what for step in explain(simple(), sample, lambda *_: none))
    assert first.startswith("the header authorization is ignored: no rule accepts access tokens")


def test_every_document_of_a_case_has_its_tokens() -> None:
    cases = Cases.model_validate_json(
        json.dumps({"tokens": TOKENS, "tests": [{"url": "/", "expect": 200}]})
    )
    assert cases.tokens == TOKENS and cases.token(cases.tests[0]) is None
