"""JWT access tokens: every check, and no other kind of token."""

import json
from dataclasses import replace

import pytest
from harness.refusals import EVIL
from harness.tokens import (
    API,
    ISSUER,
    NOW,
    Signer,
    access_token,
    access_token_claims,
    client,
    id_token_claims,
    key,
    key_set,
    pending,
    public,
    token_profile,
)

from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.encoding import b64decode, b64encode
from extproc.core.errors import InvalidLogoutToken
from extproc.core.oidc.access_token import (
    LATEST,
    MAX_ACCESS_TOKEN,
    AccessToken,
    is_jwt,
    issuer_of,
    verify_access_token,
)
from extproc.core.oidc.id_token import verify_id_token
from extproc.core.oidc.jose import MAX_VALUES
from extproc.core.oidc.logout_token import EVENT, verify_logout_token
from extproc.core.provider_errors import InvalidIDToken


def verify(token: str, keys=None, now: float = NOW, **profile) -> AccessToken:
    return verify_access_token(token_profile(**profile), token, keys or key_set(), now)


def refusal(token: str, keys=None, now: float = NOW, **profile) -> tuple[str, str]:
    with pytest.raises(InvalidAccessToken) as caught:
        verify(token, keys, now, **profile)
    assert EVIL not in caught.value.detail and caught.value.status == 401
    return caught.value.check, caught.value.detail


def refused(token: str, **how) -> str:
    return refusal(token, **how)[0]


def test_a_right_token_is_read_whole():
    token = verify(access_token(acr="gold", auth_time=NOW - 5, email="a@example.com", groups=["x"]))
    profile = token_profile()
    assert token.claims.values == {
        "sub": "alice",
        "client_id": "machine",
        "scope": "orders:read orders:write",
        "email": "a@example.com",
        "groups": ["x"],
    }
    assert replace(token, claims=None) == AccessToken(
        profile=profile,
        subject="alice",
        client_id="machine",
        scopes=frozenset({"orders:read", "orders:write"}),
        claims=None,
        acr="gold",
        auth_time=NOW - 5,
        issued_at=NOW,
        expires_at=NOW + 300,
    )


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_the_type_counts_in_any_case_and_with_its_prefix(typ):
    assert verify(access_token({"typ": typ})).subject == "alice"


@pytest.mark.parametrize(
    "typ", ["JWT", None, "", "logout+jwt", "at+jwt ", "application/", 5, ["at+jwt"]]
)
def test_any_other_type_is_refused(typ):
    assert refused(access_token({"typ": typ})) == "type"


def test_a_plain_jwt_is_accepted_only_by_what_proves_it():
    how = {"types": ("JWT",), "required_claims": (("token_use", ("access",)), ("ver", (1, 2)))}
    token = access_token({"typ": None}, token_use="access", ver=2)
    assert verify(token, **how).subject == "alice"
    assert refusal(access_token({"typ": "JWT"}, token_use="access", ver="2"), **how) == (
        "claims",
        "a claim has none of the values of required_claims",
    )
    assert refused(access_token({"typ": "JWT"}, token_use="access", ver=True), **how) == "claims"
    assert refused(access_token({"typ": "JWT"}, token_use="id", ver=2), **how) == "claims"
    assert refused(access_token({"typ": "JWT"}), **how) == "claims"


def test_required_claims_are_found_by_their_path():
    how = {"required_claims": (("realm.kind", ("api",)),)}
    assert verify(access_token(realm={"kind": ["api", "x"]}), **how).subject == "alice"
    assert refused(access_token(realm="api"), **how) == "claims"


@pytest.mark.parametrize(
    ("changes", "check", "detail"),
    [
        ({"iss": EVIL}, "issuer", "iss is not the issuer of the settings"),
        ({"iss": ISSUER + "/"}, "issuer", "iss is not the issuer of the settings"),
        ({"iss": None}, "issuer", "iss is not the issuer of the settings"),
        ({"iss": [ISSUER]}, "issuer", "iss is not the issuer of the settings"),
        ({"aud": EVIL}, "audience", "aud has none of the audiences of the application"),
        ({"aud": API + "/"}, "audience", "aud has none of the audiences of the application"),
        ({"aud": [EVIL, "x"]}, "audience", "aud has none of the audiences of the application"),
        ({"aud": None}, "audience", "aud is missing, or neither text nor a list of text"),
        ({"aud": []}, "audience", "aud is missing, or neither text nor a list of text"),
        ({"aud": {API: 1}}, "audience", "aud is missing, or neither text nor a list of text"),
        ({"aud": [API, 5]}, "audience", "aud is missing, or neither text nor a list of text"),
        ({"aud": [[API]]}, "audience", "aud is missing, or neither text nor a list of text"),
        ({"aud": "gateway"}, "id_token", "aud has a client of the processor, as in ID tokens"),
        ({"aud": [API, "gateway"]}, "id_token", "aud has a client of the processor, as in ID tokens"),
        ({"aud": ["introspector", API]}, "id_token", "aud has a client of the processor, as in ID tokens"),
        ({"exp": None}, "expired", "exp is missing or no number"),
        ({"exp": NOW - 60}, "expired", "exp was 60 s ago; leeway 60 s; check both clocks"),
        ({"exp": str(NOW + 5)}, "expired", "exp is missing or no number"),
        ({"iat": None}, "issued_at", "iat is missing or no number"),
        ({"iat": NOW + 61}, "issued_at", "iat is 61 s in the future; leeway 60 s; check both clocks"),
        ({"nbf": NOW + 61}, "not_before", "nbf is 61 s in the future; leeway 60 s; check both clocks"),
        ({"auth_time": NOW + 61}, "auth_time", "auth_time is in the future; check both clocks"),
        ({"auth_time": EVIL}, "malformed", "auth_time is no number"),
        ({"sub": None}, "subject", "sub is missing, too long or no printable text"),
        ({"sub": ""}, "subject", "sub is missing, too long or no printable text"),
        ({"sub": ["alice"]}, "subject", "sub is missing, too long or no printable text"),
        ({"sub": "a\n"}, "subject", "sub is missing, too long or no printable text"),
        ({"nonce": EVIL}, "id_token", "there is nonce, which no access token has"),
        ({"at_hash": EVIL}, "id_token", "there is at_hash, which no access token has"),
        ({"c_hash": EVIL}, "id_token", "there is c_hash, which no access token has"),
        ({"s_hash": EVIL}, "id_token", "there is s_hash, which no access token has"),
        ({"events": {EVENT: {}}}, "type", "there is events, which no access token has"),
        ({"typ": "ID"}, "type", "the claim typ is of another kind of token"),
        ({"typ": "Refresh"}, "type", "the claim typ is of another kind of token"),
        ({"typ": ["Bearer"]}, "type", "the claim typ is of another kind of token"),
        ({"token_use": "id"}, "type", "the claim token_use is of another kind of token"),
        ({"token_type": "DPoP"}, "type", "the claim token_type is of another kind of token"),
        ({"cnf": {"jkt": EVIL}}, "sender_constrained", "cnf binds it to a key (DPoP, mTLS), which is not supported"),
        ({"cnf": False}, "sender_constrained", "cnf binds it to a key (DPoP, mTLS), which is not supported"),
    ],
)  # fmt: skip
def test_the_log_names_the_check_that_a_token_fails(changes, check, detail):
    assert refusal(access_token(**changes)) == (check, detail)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [API]},
        {"aud": ["another", API, API]},
        {"exp": NOW - 59},
        {"iat": NOW + 60},
        {"iat": NOW - 400_000},
        {"nbf": NOW + 60},
        {"auth_time": NOW + 60},
        {"azp": "gateway"},
        {"client_id": "gateway"},
        {"typ": "Bearer"},
        {"typ": "at+JWT"},
        {"token_use": "access"},
        {"token_use": "access_token"},
        {"token_type": "bearer"},
        {"acr": 5},
    ],
)
def test_what_access_tokens_of_providers_have_is_accepted(changes):
    assert verify(access_token(**changes)).subject == "alice"


def test_a_kind_that_the_settings_demand_is_the_settings_business():
    how = {"required_claims": (("typ", ("Urn:Access",)),)}
    assert verify(access_token(typ="Urn:Access"), **how).subject == "alice"
    assert refused(access_token(typ="Urn:Access", token_use="id"), **how) == "type"


def test_an_id_token_is_refused_whatever_types_says():
    how = {"types": ("at+jwt", "JWT"), "required_claims": (("sub", ("alice",)),)}
    # Without a nonce, as at a refresh, and for the API as well: aud has the client.
    for changes in ({}, {"nonce": None}, {"nonce": None, "aud": ["gateway", API]}):
        claims = id_token_claims(**changes)
        assert refused(Signer().sign(claims, typ="JWT"), **how) == "id_token"
    assert refused(Signer().sign(id_token_claims(aud=API)), **how) == "id_token"


@pytest.mark.parametrize("typ", ["JWT", "at+jwt"])
@pytest.mark.parametrize("aud", [API, "gateway", ["gateway", API]])
def test_an_access_token_is_neither_an_id_token_nor_a_logout_token(typ, aud):
    token = access_token({"typ": typ}, aud=aud, typ="Bearer", token_use="access")
    with pytest.raises(InvalidIDToken):
        verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)
    with pytest.raises((InvalidLogoutToken, InvalidIDToken)):
        verify_logout_token(client(), token, key_set(), NOW)


@pytest.mark.parametrize("aud", [API, "gateway"])
def test_a_logout_token_is_no_access_token(aud):
    claims = {**access_token_claims(aud=aud), "events": {EVENT: {}}, "sid": "s"}
    for typ in ("logout+jwt", "JWT", "at+jwt"):
        token = Signer().sign(claims, typ=typ)
        assert refused(token) == "type"
        assert refused(token, types=("JWT", "at+jwt"), required_claims=()) == "type"


def test_a_signature_of_another_key_is_refused_and_an_unknown_key_too():
    claims = access_token_claims()
    assert refusal(Signer("RS256", "attacker").sign(claims, typ="at+jwt", kid="RS256-1")) == (
        "signature",
        "the signature or its payload is not right",
    )
    assert refused(access_token({"kid": "another"})) == "key"
    assert refused(access_token({"kid": "x" * 257})) == "key"


def test_only_the_one_algorithm_is_accepted():
    claims = access_token_claims()
    unsigned = ".".join(
        (b64encode(json.dumps({"alg": "none", "typ": "at+jwt"}).encode()),
         b64encode(json.dumps(claims).encode()), "")
    )  # fmt: skip
    assert refused(unsigned) == "algorithm"
    assert refusal(Signer("RS512").sign(claims, typ="at+jwt"), keys=key_set(public("RS256", alg=None))) == (
        "algorithm",
        "signed with another algorithm than RS256 (setting access_tokens.signing_alg)",
    )  # fmt: skip
    for alg in ("HS256", "NONE", "None", None, 5, ["RS256"]):
        assert refused(access_token({"alg": alg})) == "algorithm"
    keys = key_set(public("ES256"))
    es256 = Signer("ES256").sign(claims, typ="at+jwt")
    assert verify(es256, keys=keys, alg="ES256").subject == "alice"
    assert refused(access_token({"kid": None}), keys=keys) == "key"


@pytest.mark.parametrize(
    "brought",
    [
        {"jwk": key("RS256", "attacker").as_dict(private=False)},
        {"jku": "https://evil.example/jwks"},
        {"x5u": "https://evil.example/x5u"},
    ],
)
def test_a_key_that_the_token_brings_is_never_used(brought):
    claims = access_token_claims()
    forged = Signer("RS256", "attacker").sign(claims, typ="at+jwt", kid="RS256-1", **brought)
    assert refused(forged) == "signature"


def test_an_address_of_keys_in_the_header_is_ignored():
    addresses = {"jku": "https://evil.example/jwks", "x5u": "https://evil.example/x5u"}
    assert verify(access_token(addresses)).subject == "alice"


@pytest.mark.parametrize("header", [{"crit": ["x"]}, {"b64": False}, {"zip": "DEF"}])
def test_a_header_that_changes_the_meaning_is_refused(header):
    assert refused(access_token(header)) == "header"


def test_what_stands_twice_or_is_too_deep_is_no_payload_and_nothing_is_read_of_it():
    claims = access_token_claims()
    twice = json.dumps(claims)[:-1].encode() + b',"aud":"' + API.encode() + b'"}'
    assert refused(Signer().sign(twice, typ="at+jwt")) == "signature"
    for body in (b"[" * 900, b"\xff", b"null", b'"x"'):
        assert refused(Signer().sign(body, typ="at+jwt")) == "signature"
    for body in (b'{"a":' * 1900 + b"1" + b"}" * 1900, b"[" * 5000):
        assert refused(Signer().sign(body, typ="at+jwt")) == "malformed"


@pytest.mark.parametrize(
    "digits", [b"1e400", b"-1e400", b"9" * 4400, b"NaN", b"Infinity", b"true", b'"1"', b"null"]
)
def test_an_exp_that_is_no_finite_number_is_refused(digits):
    body = json.dumps(access_token_claims(exp=None))[:-1].encode() + b',"exp":' + digits + b"}"
    assert refused(Signer().sign(body, typ="at+jwt")) in ("expired", "signature")


def test_times_beyond_all_measure_are_bounded():
    token = verify(access_token(exp=10**300, iat=-(10**300)))
    assert (token.expires_at, token.issued_at) == (LATEST, 0)
    token = verify(access_token(exp=NOW + 1.9, iat=NOW + 0.9))
    assert (token.expires_at, token.issued_at) == (NOW + 1, NOW)


def test_a_token_of_16_kb_is_looked_at_and_a_longer_one_is_not():
    # base64url has no text of 4n + 1 characters, so the header is of several lengths, too.
    tokens = (
        access_token({"cty": "x" * more}, pad="x" * (11_690 + pad))
        for pad in range(100)
        for more in range(4)
    )
    longest = next(token for token in tokens if len(token) == MAX_ACCESS_TOKEN)
    assert verify(longest).subject == "alice"
    assert refusal(longest + "A" * (MAX_ACCESS_TOKEN + 1 - len(longest))) == (
        "malformed",
        "longer than 16 kB",
    )


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "." * 10_000, "a.b.c.d.e", "\u00e9.a.b", "e30.e30.", "e30.e30.e30 "]
)  # fmt: skip
def test_what_is_no_token_is_refused(token):
    assert refused(token) in ("malformed", "algorithm")


def test_a_token_of_a_thousand_values_is_looked_at_and_one_of_more_is_not():
    def marks(token: str) -> int:
        segments = map(b64decode, token.split(".")[:2])
        return sum(text.count(mark) for text in segments for mark in (b"{", b"[", b","))

    most = MAX_VALUES - marks(access_token(pad=[0])) + 1
    right = access_token(pad=[0] * most)
    assert marks(right) == MAX_VALUES and verify(right).subject == "alice"
    assert refusal(access_token(pad=[0] * (most + 1))) == ("malformed", "more than 1000 values")
    # What the signature happens to look like counts for nothing.
    head, body, _ = right.split(".")
    assert refused(f"{head}.{body}.{b64encode(b',' * 256)}") == "signature"


@pytest.mark.parametrize("acr", [5, True, ["gold"], {"gold": 1}])
def test_an_acr_that_is_no_text_is_none(acr):
    assert verify(access_token(acr=acr)).acr is None


def test_which_client_has_the_token():
    def client(**claims):
        return verify(access_token(**({"client_id": None} | claims))).client_id

    assert client() is None
    assert client(azp="a", cid="c") == "a"
    assert client(client_id="m", azp="a") == "m"
    assert client(client_id="", azp=["a"], cid="c") == "c"
    assert client(client_id="x" * 255) == "x" * 255
    assert client(client_id="x" * 256) is None
    assert client(client_id="a\nb") is None


@pytest.mark.parametrize(
    ("claim", "scopes"),
    [
        ("a b  c", {"a", "b", "c"}),
        (["a", "b c", 5, None, "", ["d"]], {"a"}),
        ('a\tb \u00e9 d"e f\\g !#[]~', {"!#[]~"}),
        ("", set()),
        (5, set()),
        ({"a": 1}, set()),
        (None, set()),
    ],
)
def test_scopes_are_text_with_blanks_or_a_list(claim, scopes):
    assert verify(access_token(scope=claim)).scopes == scopes
    assert verify(access_token(scp={"x": claim}), scope_claim="scp.x").scopes == scopes


def test_a_jwt_is_known_by_its_header():
    token = access_token()
    head = token.partition(".")[0]
    assert is_jwt(token) and is_jwt(f"{head}.a.b") and is_jwt(f"{head}..")
    for opaque in (
        "",
        "abc",
        "a.b.c",
        f"{head}.a",
        f"{head}.a.b.c",
        "e30.a.b",
        ".a.b",
        f"{head}=.a.b",
    ):
        assert not is_jwt(opaque)
    exact = b'{"alg":"' + b"x" * (MAX_ACCESS_TOKEN // 4 * 3 - 10) + b'"}'
    assert len(b64encode(exact)) == MAX_ACCESS_TOKEN and is_jwt(b64encode(exact) + ".a.b")
    assert not is_jwt(b64encode(b'{"alg":"' + b"x" * MAX_ACCESS_TOKEN + b'"}') + ".a.b")


def test_the_issuer_is_read_of_jwts_alone():
    assert issuer_of(access_token()) == ISSUER
    for other in (None, 5, [ISSUER]):
        assert issuer_of(access_token(iss=other)) is None
    body = access_token().split(".")[1]
    assert issuer_of(f"e30.{body}.a") is None
    assert issuer_of(f"{access_token().partition('.')[0]}.x.y") is None
    assert issuer_of(access_token(pad="x" * MAX_ACCESS_TOKEN)) is None
