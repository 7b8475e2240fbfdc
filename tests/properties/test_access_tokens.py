"""Properties of access tokens, for any input: nothing but a refusal is raised, and what is accepted
is for us, is valid now, and is of no other kind.
"""

import json
from typing import Any

import pytest
from harness.tokens import (
    API,
    ISSUER,
    NOW,
    Signer,
    access_token_claims,
    id_token_claims,
    key_set,
    token_profile,
)
from hypothesis import example, given
from hypothesis import strategies as st

from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.encoding import b64encode
from extproc.core.oidc.access_token import (
    AccessToken,
    is_jwt,
    issuer_of,
    verify_access_token,
)
from extproc.core.oidc.introspection import introspected
from extproc.core.oidc.logout_token import EVENT
from extproc.core.provider_errors import InvalidAnswer

KEYS = key_set()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
TIMES = st.integers(NOW - 200, NOW + 200) | st.just(10**400) | st.floats() | JSON
AUDIENCES = st.sampled_from([API, "gateway", "introspector", API + "/", "https://other.example"])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.sampled_from([ISSUER, ISSUER + "/"]) | JSON,
        "aud": AUDIENCES | st.lists(AUDIENCES) | JSON,
        "exp": TIMES,
        "iat": TIMES,
        "nbf": TIMES,
        "auth_time": TIMES,
        "sub": JSON,
        "scope": JSON,
        "client_id": JSON,
        "azp": JSON,
        "acr": JSON,
        "typ": st.sampled_from(["Bearer", "ID", "Refresh", "Logout"]) | JSON,
        "token_use": st.sampled_from(["access", "id"]) | JSON,
        "token_type": st.sampled_from(["Bearer", "DPoP"]) | JSON,
        "nonce": JSON,
        "events": JSON,
        "cnf": JSON,
        "active": st.just(True) | JSON,
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "zip", "jku", "x5u", "x5c", "cty"]), JSON
)


def refused_or_accepted(verify) -> AccessToken | None:
    try:
        return verify()
    except InvalidAccessToken as error:
        return None if error.status == 401 and error.detail else pytest.fail(repr(error))


def may_be_used(claims: dict[str, Any]) -> bool:
    """Whether claims are those of an access token for the API that is valid now, in words of its
    own.
    """
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    kinds = [claims.get(name, "Bearer") for name in ("typ", "token_use", "token_type")]
    return (
        API in audiences
        and not {"gateway", "introspector"} & {each for each in audiences if isinstance(each, str)}
        and not {"nonce", "at_hash", "c_hash", "s_hash", "events", "cnf"} & claims.keys()
        and all(str(kind).lower() in ("bearer", "access", "access_token", "at+jwt") for kind in kinds)
        and ("exp" not in claims or claims["exp"] > NOW - 60)
        and ("nbf" not in claims or claims["nbf"] <= NOW + 60)
    )  # fmt: skip


@given(st.text(max_size=300) | st.text("ab.eyJ0_-=", max_size=300))
@example("." * 1_000_000)
@example("eyJhbGciOiJub25lIn0.e30.")
def test_whatever_is_presented_is_refused_and_nothing_else_happens(token):
    assert issuer_of(token) is None or is_jwt(token)
    assert (
        refused_or_accepted(lambda: verify_access_token(token_profile(), token, KEYS, NOW)) is None
    )


@given(CHANGES)
def test_a_signed_token_is_accepted_only_for_what_it_has_to_be(changes):
    claims = json.loads(json.dumps(access_token_claims() | changes))
    token = Signer().sign(claims, typ="at+jwt")
    read = refused_or_accepted(lambda: verify_access_token(token_profile(), token, KEYS, NOW))
    if read is None:
        return
    assert claims["iss"] == ISSUER and claims["exp"] > NOW - 60 and may_be_used(claims)
    assert read.subject == claims["sub"] and 0 <= read.issued_at <= NOW + 60
    assert all(isinstance(scope, str) and " " not in scope for scope in read.scopes)


@given(HEADERS)
def test_no_header_changes_what_a_token_is(header):
    token = Signer().sign(access_token_claims(), **({"typ": "at+jwt"} | header))
    read = refused_or_accepted(lambda: verify_access_token(token_profile(), token, KEYS, NOW))
    assert read is None or read.claims.values["sub"] == "alice"
    unsigned = token.rpartition(".")[0] + "."
    assert (
        refused_or_accepted(lambda: verify_access_token(token_profile(), unsigned, KEYS, NOW))
        is None
    )


@given(st.binary(max_size=300))
def test_whatever_bytes_are_signed_are_refused(body):
    token = Signer().sign(body, typ="at+jwt")
    assert (
        refused_or_accepted(lambda: verify_access_token(token_profile(), token, KEYS, NOW)) is None
    )


@given(CHANGES, st.sampled_from(["at+jwt", "JWT", None]))
def test_no_token_of_another_kind_is_one_however_lax_the_settings_are(changes, typ):
    lax = token_profile(types=("at+jwt", "JWT"), required_claims=(("iss", (ISSUER,)),))
    others = (
        {**id_token_claims(nonce=None), "aud": "gateway"},
        {**id_token_claims(), "aud": API},
        {**access_token_claims(), "events": {EVENT: {}}},
        {**access_token_claims(), "typ": "Refresh"},
    )
    for other in others:
        claims = {**changes, **other}
        token = Signer().sign(json.loads(json.dumps(claims)), typ=typ)
        assert (
            refused_or_accepted(lambda token=token: verify_access_token(lax, token, KEYS, NOW))
            is None
        )


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_provider_answers_is_refused_and_nothing_else_happens(body):
    try:
        introspected(token_profile(), body, NOW)
    except (InvalidAnswer, InvalidAccessToken):
        return
    raise AssertionError("it was accepted")


@given(CHANGES)
def test_an_introspected_token_is_accepted_only_for_what_it_has_to_be(changes):
    claims = json.loads(json.dumps({"active": True, "aud": API} | changes))
    body = json.dumps(claims).encode()
    try:
        read = refused_or_accepted(lambda: introspected(token_profile(), body, NOW))
    except InvalidAnswer:
        return
    if read is None:
        return
    assert claims["active"] is True and claims.get("iss", ISSUER) == ISSUER
    assert may_be_used(claims) and read.subject == claims.get("sub", "")


@given(st.lists(st.sampled_from(["alg", "typ", "none", ".", "e30", "e30."]), max_size=6))
def test_what_is_a_jwt_is_told_by_its_header_alone(parts):
    token = ".".join(parts)
    assert is_jwt(token) is False
    head = b64encode(b'{"alg":"RS256"}')
    assert is_jwt(f"{head}.{'.'.join(parts)}") is (f"{head}.{'.'.join(parts)}".count(".") == 2)


@pytest.mark.parametrize("size", [1, 900])
def test_a_long_list_of_audiences_costs_little_and_counts_as_a_short_one(size):
    audiences = [f"a{number}" for number in range(size)]
    verified = verify_access_token(
        token_profile(),
        Signer().sign(access_token_claims(aud=[*audiences, API]), typ="at+jwt"),
        KEYS,
        NOW,
    )
    assert verified.subject == "alice"
