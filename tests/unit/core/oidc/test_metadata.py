"""Discovery documents: which are accepted, and where their endpoints are called."""

import json

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import ISSUER, METADATA

from extproc.core.errors import InvalidMetadata
from extproc.core.oidc.metadata import ProviderMetadata


def read(body: str | None = None, **changes):
    right = {
        "issuer": ISSUER,
        "authorization_endpoint": ISSUER + "/auth",
        "token_endpoint": ISSUER + "/token",
        "jwks_uri": ISSUER + "/jwks",
        "code_challenge_methods_supported": ["S256"],
    }
    document = {name: value for name, value in (right | changes).items() if value is not None}
    return ProviderMetadata.parse((body or json.dumps(document)).encode(), ISSUER)


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: read(EVIL), "the discovery document is not JSON"),
        (lambda: read(issuer=EVIL), "the discovery document names another issuer than the settings (compared byte for byte)"),
        (lambda: read(code_challenge_methods_supported=[EVIL]), "code_challenge_methods_supported lacks S256"),
        (lambda: read(jwks_uri=None), "the discovery document has no jwks_uri"),
        (lambda: read(token_endpoint=[EVIL]), "token_endpoint is no URL"),
        (lambda: read(token_endpoint="https://idp.example/" + "x" * 2048), "token_endpoint has no character, or more than 2048"),
        (lambda: read(authorization_endpoint="javascript:evil"), "authorization_endpoint does not begin with https:// or http://"),
        (lambda: read(authorization_endpoint="http://idp.example/"), "authorization_endpoint is neither https nor http on loopback (or below backchannel_url)"),
    ],
)  # fmt: skip
def test_the_log_names_what_is_wrong_with_a_discovery_document(call, detail):
    assert raised(call) == (InvalidMetadata, detail)


DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "userinfo_endpoint": f"{ISSUER}/me",
    "end_session_endpoint": f"{ISSUER}/logout",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "introspection_endpoint": f"{ISSUER}/introspect",
}


def parse(issuer: str = ISSUER, backchannel: str | None = None, **changes) -> ProviderMetadata:
    document = {name: value for name, value in (DOCUMENT | changes).items() if value is not None}
    return ProviderMetadata.parse(json.dumps(document).encode(), issuer, backchannel)


@pytest.mark.attack("CONF-15")
def test_the_endpoints_come_from_the_document():
    assert parse() == METADATA
    assert parse(authorization_response_iss_parameter_supported=True).iss_parameter_supported


@pytest.mark.attack("CONF-17", "KEYS-01")
@pytest.mark.parametrize(
    "issuer",
    [
        ISSUER + "/",
        ISSUER.upper(),
        "http://idp.example",
        "https://idp.example.evil",
        "",
        None,
        [ISSUER],
    ],
)
def test_another_issuer_is_refused(issuer):
    with pytest.raises(InvalidMetadata):
        ProviderMetadata.parse(json.dumps(DOCUMENT | {"issuer": issuer}).encode(), ISSUER)


@pytest.mark.attack("KEYS-03")
@pytest.mark.parametrize(
    "name",
    [
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "userinfo_endpoint",
        "end_session_endpoint",
    ],
)
@pytest.mark.parametrize(
    "url", ["http://idp.example/x", "file:///etc/passwd", "ftp://idp.example/", "data:,x", "gopher://x/", "https://ok@evil.example/", "https://", "//idp.example/x", "https://idp.example/a b", "https://idp.example/\n", 5, "https://idp.example:x/", "https://idp.example/#f", "https:\\\\evil"]
)  # fmt: skip
def test_an_endpoint_that_is_not_safe_is_refused(name, url):
    with pytest.raises(InvalidMetadata):
        parse(**{name: url})


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_a_document_without_an_endpoint_that_is_needed_is_refused(name):
    with pytest.raises(InvalidMetadata):
        parse(**{name: None})


@pytest.mark.attack("FLOW-03")
@pytest.mark.parametrize(
    ("methods", "right"),
    [(["S256"], True), (["plain", "S256"], True), (["plain"], False), ([], False), (None, True)],
)
def test_a_provider_without_s256_is_refused(methods, right):
    if right:
        assert parse(code_challenge_methods_supported=methods)
    else:
        with pytest.raises(InvalidMetadata):
            parse(code_challenge_methods_supported=methods)


def test_split_horizon_the_endpoints_that_we_call_are_rewritten():
    issuer = "https://public.example/realms/demo"
    public = {name: f"{issuer}/{name}" for name in DOCUMENT} | {
        "issuer": issuer,
        "jwks_uri": "https://public.example/elsewhere/jwks?x=1",
    }
    inner = ProviderMetadata.parse(
        json.dumps(public).encode(), issuer, "http://keycloak:8080/realms/demo"
    )
    assert inner.token_endpoint == "http://keycloak:8080/realms/demo/token_endpoint"
    assert inner.jwks_uri == "http://keycloak:8080/elsewhere/jwks?x=1"
    assert (
        inner.authorization_endpoint == f"{issuer}/authorization_endpoint"
        and inner.end_session_endpoint == f"{issuer}/end_session_endpoint"
    )
    dynamic = public | {"token_endpoint": "http://keycloak:8080/realms/demo/token"}
    assert (
        ProviderMetadata.parse(
            json.dumps(dynamic).encode(), issuer, "http://keycloak:8080/realms/demo"
        ).token_endpoint
        == "http://keycloak:8080/realms/demo/token"
    )
    with pytest.raises(InvalidMetadata):
        ProviderMetadata.parse(
            json.dumps(public | {"token_endpoint": "http://other:8080/token"}).encode(),
            issuer,
            "http://keycloak:8080/realms/demo",
        )


@pytest.mark.parametrize("slash", ["", "/"])
def test_split_horizon_whatever_slash_either_side_ends_with(slash):
    issuer, inner = "https://idp.example/realm" + slash, "http://inside:8080/idp/realm" + slash
    document = {
        "issuer": issuer,
        "authorization_endpoint": "https://idp.example/realm/auth",
        "token_endpoint": "https://idp.example/realm/token",
        "jwks_uri": "https://idp.example/keys",
        "userinfo_endpoint": "https://idp.example/realm",
        "revocation_endpoint": "https://idp.example/realms/x?y=1",
        "introspection_endpoint": "https://idp.example/realm/introspect",
    }
    read = ProviderMetadata.parse(json.dumps(document).encode(), issuer, inner)
    assert (read.token_endpoint, read.jwks_uri) == (
        "http://inside:8080/idp/realm/token",
        "http://inside:8080/keys",
    )
    assert read.userinfo_endpoint == "http://inside:8080/idp/realm"
    assert read.revocation_endpoint == "http://inside:8080/realms/x?y=1"
    assert read.introspection_endpoint == "http://inside:8080/idp/realm/introspect"


@pytest.mark.parametrize("path", ["", "/", "/inside", "/inside/"])
def test_split_horizon_an_endpoint_that_is_inside_already_stays_though_it_is_below_the_issuer(path):
    inner = ISSUER + path
    below = {name: f"{inner.rstrip('/')}/{name}" for name in DOCUMENT}
    document = json.dumps(DOCUMENT | below | {"issuer": ISSUER}).encode()
    read = ProviderMetadata.parse(document, ISSUER, inner)
    assert (read.token_endpoint, read.jwks_uri) == (below["token_endpoint"], below["jwks_uri"])


@pytest.mark.attack("CONF-15")
def test_what_is_no_json_object_is_no_metadata():
    with pytest.raises(InvalidMetadata) as refused:
        ProviderMetadata.parse(b"<html>", ISSUER)
    assert "the discovery document is" in refused.value.detail
