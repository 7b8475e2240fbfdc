"""The core's values: claims in headers, cookies, sealing, metadata, token answers, assertions."""

import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    METADATA,
    NOW,
    RING,
    SECRET,
    application,
    client,
    pending,
    request,
)

from extproc.core.assertion import MARK_AT, AssertionProfile, jwks, max_age, mint
from extproc.core.decisions import Respond
from extproc.core.encoding import b64decode
from extproc.core.errors import ClientRefused, CodeRefused, InvalidMetadata, InvalidTokenResponse
from extproc.core.http import Cookie
from extproc.core.oidc.claims import Claims, header_value, parse_object
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import TokenResponse, code_grant, token_error
from extproc.core.sealing import KeyRing, Label, expand
from extproc.core.session import MARK, SessionId


@pytest.mark.attack("HDR-09", "HDR-10", "HDR-11")
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("alice", "alice"),
        (None, ""),
        ("", ""),
        ([], ""),
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        (float("inf"), ""),
        (float("nan"), ""),
        ("a\r\nx-auth-groups: admin", "a%0D%0Ax-auth-groups: admin"),
        ("Doe, John", "Doe%2C John"),
        ("100%", "100%25"),
        ("Zoë 😀", "Zo%C3%AB %F0%9F%98%80"),
        (" a ", "%20a%20"),
        ("   ", "%20%20%20"),
        ("a\x00b", "a%00b"),
        (["a,admin", "b"], "a%2Cadmin,b"),
        (["", None, "a"], "a"),
        ([["a", "b"]], '["a"%2C"b"]'),
        ({"a": 1, "b": [2]}, '{"a":1%2C"b":[2]}'),
        ("a;b=c", "a;b=c"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_the_encoding_of_claims(claim, value):
    assert header_value(claim) == value


def test_claims_are_read_by_name_then_by_path():
    claims = Claims({"realm_access": {"roles": ["a"]}, "a.b": 1, "a": {"b": 2}, "list": ["x"]})
    assert (
        claims.get("realm_access.roles"),
        claims.get("a.b"),
        claims.get("list.0"),
        claims.get("gone.x"),
    ) == (
        ["a"],
        1,
        None,
        None,
    )


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a":1,"a":2}', '{"a":NaN}', "", "[" * 100_000, b"\xff"]
)
def test_json_is_read_strictly(text):
    with pytest.raises(ValueError, match=r"^[A-Za-z ]+$"):
        parse_object(text)


# -- cookies ---------------------------------------------------------------------------------------


@pytest.mark.attack("COOK-01")
def test_the_attributes_of_a_cookie():
    assert (
        Cookie("__Host-x", "v", True, 60).header()
        == "__Host-x=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
    )
    assert Cookie("x", "v", False).header() == "x=v; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.attack("COOK-12", "COOK-14")
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("a=1; s=x; b=2", "x"),
        ("s=x; s=x", "x"),
        ("s=x; s=y", None),
        # a comma separates nothing: browsers allow it in a value, and a neighbouring host may have
        # put our name behind it
        ("s=x,s=x", None),
        ("a=1,s=x", None),
        ("a=1, s=x; b=2", None),
        ("a=1;s=x,", None),
        ('a="1; s=x', "x"),
        ("a=1\x0bs=x", None),
        ("\x0bs=x; \xa0s=x", None),
        ("s =x; s= x", None),
        ("S=x", None),
        ("s", None),
        ("s=", None),
        ("xs=1", None),
        ("s=a=b", None),
        ('s="x"', None),
        ("  s=x  ", "x"),
        ("\ts=x\t", "x"),
        ("", None),
    ],
)
def test_a_cookie_that_stands_twice_is_none(header, value):
    assert request(cookie=header).cookie("s") == value


def test_several_cookie_headers_are_one():
    asked = replace(request(), headers=(("cookie", "a=1"), ("cookie", "s=x")))
    assert asked.cookie("s") == "x" and asked.cookie("a") == "1"
    assert asked.cookies == (("a", "1"), ("s", "x"))


@pytest.mark.attack("COOK-15")
def test_of_very_many_cookies_the_last_count():
    many = "; ".join(f"c{number}=x" for number in range(1000))
    assert request(cookie=many).cookies == tuple(
        (f"c{number}", "x") for number in range(1000 - 256, 1000)
    )
    assert request(cookie=f"a={'x' * 4097}; b={'y' * 4096}").cookies == (("b", "y" * 4096),)


@pytest.mark.attack("COOK-12")
def test_several_values_of_a_name_are_all_there():
    asked = request(cookie="s=x; s=y; s=x; t=1")
    assert asked.cookie_values("s") == ("x", "y") and asked.cookie("s") is None
    assert asked.cookie_values("t") == ("1",) and asked.cookie_values("u") == ()


# -- sealing ---------------------------------------------------------------------------------------


@pytest.mark.attack("COOK-19")
def test_the_first_key_seals_and_all_open():
    old, new = KeyRing.of([SECRET]), KeyRing.of([b"n" * 32, SECRET])
    label = Label("login", "app", "name")
    sealed = old.seal(b"x", label, ENTROPY_BYTES)
    assert new.open(sealed, label) == b"x"
    assert old.open(new.seal(b"x", label, ENTROPY_BYTES), label) is None
    assert KeyRing.of([b"n" * 32]).open(sealed, label) is None


@pytest.mark.attack("COOK-06")
@pytest.mark.parametrize("length", [1, 4, 32, 33, 80, 8160])
def test_expansion_is_that_of_rfc_5869(length):
    assert expand(SECRET, b"a purpose", length) == HKDFExpand(
        hashes.SHA256(), length, b"a purpose"
    ).derive(SECRET)


@pytest.mark.attack("COOK-03")
@pytest.mark.threat("stolen-store")
def test_every_byte_and_every_part_of_the_label_is_authenticated():
    label = Label("login", "app", "name")
    sealed = RING.seal(b"token", label, ENTROPY_BYTES)
    raw = b64decode(sealed)
    from extproc.core.encoding import b64encode

    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        assert RING.open(b64encode(bytes(changed)), label) is None
    for other in (
        Label("session", "app", "name"),
        Label("login", "ap", "pname"),
        Label("login", "app", "nam"),
        Label("loginapp", "", "name"),
    ):
        assert RING.open(sealed, other) is None
    assert RING.open(sealed, label, limit=10) is None


def test_secrets_are_not_printed():
    from extproc.core.session import SessionId

    asked = request("/oauth2/callback?code=the-code", cookie="c=the-cookie")
    answer = Respond(
        303, "x", location="/?id_token_hint=the-token", cookies=(Cookie("c", "the-cookie", True),)
    )
    assert not any(
        secret in repr([asked, answer]) for secret in ("the-code", "the-cookie", "the-token")
    )
    shown = repr(
        [
            RING,
            client(),
            pending(),
            SessionId.of(b"s" * 32),
            code_grant(client(), "the-code", pending()),
            application(),
        ]
    )
    for secret in (
        SECRET.decode(),
        "s3cret",
        "the-code",
        pending().code_verifier,
        SessionId.of(b"s" * 32).value,
    ):
        assert secret not in shown


# -- the assertion ---------------------------------------------------------------------------------


def test_the_assertion_has_ready_made_header_values_and_verifies():
    from joserfc import jwk

    profile = AssertionProfile("https://app.example/", "app", 60)
    session = SessionId.of(b"s" * 32)
    token = mint(RING, profile, session.handle, (("x-auth-sub", "alice"),), NOW, NOW + 1000)
    key = jwk.import_key(json.loads(jwks(RING))["keys"][0])
    assert key.kid == json.loads(b64decode(token.split(".")[0]))["kid"]
    assert token.split(".")[1][MARK_AT:].startswith(session.cookie[:MARK]), (
        "Envoy compares the two as text"
    )
    assert json.loads(b64decode(token.split(".")[1])) == {
        "session": session.handle,
        "iss": "https://app.example/",
        "aud": "app",
        "exp": NOW + 60,
        "x-auth-sub": "alice",
    }
    key.public_key.verify(b64decode(token.split(".")[2]), token.rpartition(".")[0].encode())
    assert max_age(profile) == 45


def test_no_assertion_outlives_its_session_or_grows_too_big():
    profile = AssertionProfile("https://app.example/", "app", 60)
    assert (
        json.loads(b64decode(mint(RING, profile, "h", (), NOW, NOW + 10).split(".")[1]))["exp"]
        == NOW + 10
    )
    assert mint(RING, profile, "h", (), NOW, NOW + 2) is None
    assert mint(RING, profile, "h", (("x-auth-groups", "g" * 4000),), NOW, NOW + 1000) is None
    assert mint(RING, replace(profile, lifetime=0), "h", (), NOW, NOW + 1000) is None


# -- metadata --------------------------------------------------------------------------------------

DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/auth",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "userinfo_endpoint": f"{ISSUER}/me",
    "end_session_endpoint": f"{ISSUER}/logout",
    "revocation_endpoint": f"{ISSUER}/revoke",
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


# -- the token endpoint ----------------------------------------------------------------------------


@pytest.mark.attack("FLOW-26")
def test_credentials_are_form_encoded_before_basic():
    import base64

    asked = code_grant(client(client_id="a:b", client_secret="p%+& ü"), "c", pending())
    assert (
        base64.b64decode(asked.authorization.removeprefix("Basic ")) == b"a%3Ab:p%25%2B%26+%C3%BC"
    )
    assert "client_secret" not in dict(asked.parameters)
    assert dict(asked.parameters)["code_verifier"] == pending().code_verifier


def test_client_secret_post_and_public_clients():
    posted = code_grant(client(auth_method="client_secret_post"), "c", pending())
    assert (posted.authorization, dict(posted.parameters)["client_secret"]) == (None, "s3cret")
    public = code_grant(client(auth_method="none", client_secret=None), "c", pending())
    assert (
        public.authorization,
        dict(public.parameters)["client_id"],
        "client_secret" in dict(public.parameters),
    ) == (
        None,
        "gateway",
        False,
    )


RIGHT = {"access_token": "at", "id_token": "idt", "token_type": "bearer"}


@pytest.mark.attack("FAPI-09")
def test_a_token_response_without_expires_in_has_a_default():
    assert TokenResponse.parse(json.dumps(RIGHT).encode()).expires_in == 300


@pytest.mark.attack("IDT-28", "REL-10")
@pytest.mark.parametrize(
    "changes",
    [
        {"access_token": None}, {"access_token": ""}, {"access_token": 5}, {"access_token": "a b"}, {"access_token": "a\nb"}, {"access_token": "é"},
        {"id_token": None}, {"id_token": ["x"]}, {"token_type": None}, {"token_type": "mac"}, {"token_type": 5}, {"refresh_token": 5}, {"refresh_token": ""},
        {"expires_in": "soon"}, {"expires_in": -1}, {"expires_in": True}, {"expires_in": [1]},
    ],
)  # fmt: skip
def test_a_malformed_token_response_is_refused(changes):
    answer = {name: value for name, value in (RIGHT | changes).items() if value is not None}
    with pytest.raises(InvalidTokenResponse):
        TokenResponse.parse(json.dumps(answer).encode())


@pytest.mark.attack("REL-07")
@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b"\xff"])
def test_a_token_response_that_is_no_object_is_refused(body):
    with pytest.raises(InvalidTokenResponse):
        TokenResponse.parse(body)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"error":"invalid_grant"}', CodeRefused),
        (b'{"error":"invalid_client"}', ClientRefused),
        (b'{"error":"invalid_scope"}', InvalidTokenResponse),
        (b'{"error":["x"]}', InvalidTokenResponse),
        (b"<html>", InvalidTokenResponse),
    ],
)
def test_what_an_error_of_the_token_endpoint_means(body, kind):
    assert type(token_error(body)) is kind
