"""The client's credentials are tried with a code that does not exist."""

import base64
from collections.abc import Iterator

import pytest
from harness.envoy_config import APP, simple
from harness.static_server import Answer, StaticServer

from extproc.checks.client_credentials import check_credentials
from extproc.checks.findings import Finding

DISCOVERY = "/.well-known/openid-configuration"


@pytest.fixture
def provider() -> Iterator[StaticServer]:
    with StaticServer() as server:
        document = {
            "issuer": server.url,
            "authorization_endpoint": f"{server.url}/auth",
            "token_endpoint": f"{server.url}/token",
            "jwks_uri": f"{server.url}/keys",
            "response_types_supported": ["code"],
        }
        server.answers = {DISCOVERY: Answer.json(document)}
        yield server


def found(provider: StaticServer, **changes: object) -> Finding:
    main = {"issuer": provider.url, "client_id": "gateway", "client_secret": "canary", **changes}
    made = simple(providers={"main": main}, applications={"app": APP})
    (only,) = check_credentials(made, "app")
    assert "canary" not in f"{only.what}{only.remedy}"
    return only


@pytest.mark.parametrize(
    ("code", "status", "level"),
    [
        ("invalid_grant", 400, "ok"),
        ("invalid_client", 400, "error"),
        ("invalid_client", 401, "error"),
        ("unauthorized_client", 400, "error"),
        ("invalid_request", 400, "skipped"),
        ("server_error", 500, "skipped"),
    ],
)
def test_the_provider_s_error_says_whether_the_credentials_are_right(
    provider: StaticServer, code: str, status: int, level: str
) -> None:
    provider.answers["/token"] = Answer.json({"error": code}, status)
    only = found(provider)
    assert (only.level, only.part) == (level, "providers.main.client_secret")
    assert provider.received[-1].path == "/token"


@pytest.mark.parametrize("answer", [Answer.html("<p>"), Answer.json([]), Answer.json({"error": 5})])
def test_an_answer_of_another_kind_leaves_them_unknown(
    provider: StaticServer, answer: Answer
) -> None:
    provider.answers["/token"] = answer
    assert found(provider).level == "skipped"


def test_a_401_without_a_reason_is_a_refusal(provider: StaticServer) -> None:
    provider.answers["/token"] = Answer(401)
    assert found(provider).level == "error"


def test_a_provider_that_does_not_answer_leaves_them_unknown(provider: StaticServer) -> None:
    provider.answers[DISCOVERY] = Answer.json({})
    assert found(provider).level == "skipped"
    assert found(provider, ca_file="/nowhere/ca.pem").level == "skipped"


def test_the_client_authenticates_as_it_does_in_a_login(provider: StaticServer) -> None:
    provider.answers["/token"] = Answer.json({"error": "invalid_grant"}, 400)
    found(provider)
    sent = dict(provider.received[-1].headers)
    assert sent["authorization"] == "Basic " + base64.b64encode(b"gateway:canary").decode()
    found(provider, client_secret=None)
    assert "authorization" not in dict(provider.received[-1].headers)
