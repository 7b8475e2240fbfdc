"""The identity assertion: its claims, its key and its limits."""

import json
from dataclasses import replace

import pytest
from harness.tokens import NOW, RING

from extproc.core.assertion import ENVOY_SKEW, MARK_AT, AssertionProfile, jwks, max_age, mint
from extproc.core.encoding import b64decode
from extproc.core.session import MARK, SessionId


def test_the_assertion_has_ready_made_header_values_and_verifies():
    from joserfc import jwk

    profile = AssertionProfile("https://app.example/", 60)
    session = SessionId.of(b"s" * 32)
    token = mint(
        RING, profile, ("app",), session.handle, (("x-auth-sub", "alice"),), NOW, NOW + 1000
    )
    key = jwk.import_key(json.loads(jwks(RING))["keys"][0])
    assert key.kid == json.loads(b64decode(token.split(".")[0]))["kid"]
    assert token.split(".")[1][MARK_AT:].startswith(session.cookie[:MARK]), (
        "Envoy compares the two as text"
    )
    assert json.loads(b64decode(token.split(".")[1])) == {
        "session": session.handle,
        "iss": "https://app.example/",
        "aud": "app",
        "exp": NOW + 58,
        "x-auth-sub": "alice",
    }
    key.public_key.verify(b64decode(token.split(".")[2]), token.rpartition(".")[0].encode())
    assert max_age(profile) == 45


def test_no_assertion_outlives_its_session_or_grows_too_big():
    profile = AssertionProfile("https://app.example/", 60)
    assert (
        json.loads(b64decode(mint(RING, profile, ("app",), "h", (), NOW, NOW + 10).split(".")[1]))[
            "exp"
        ]
        == NOW + 8
    )
    assert mint(RING, profile, ("app",), "h", (), NOW, NOW + 2) is None
    assert (
        mint(RING, profile, ("app",), "h", (("x-auth-groups", "g" * 4000),), NOW, NOW + 1000)
        is None
    )
    assert mint(RING, replace(profile, lifetime=0), ("app",), "h", (), NOW, NOW + 1000) is None


@pytest.mark.parametrize("life", [8, 60, 3600])
@pytest.mark.parametrize("not_after", [5, 8, 1000])
def test_envoy_accepts_no_assertion_beyond_its_life_nor_its_session(life, not_after):
    """Envoy compares whole seconds, and accepts exp and ENVOY_SKEW as the last one."""
    profile = AssertionProfile("https://app.example/", life)
    token = mint(RING, profile, ("app",), "h", (), NOW, NOW + not_after)
    last = json.loads(b64decode(token.split(".")[1]))["exp"] + ENVOY_SKEW
    assert last + 1 == NOW + min(life, not_after)


def test_the_keys_of_assertions_say_what_they_are_for():
    (key,) = json.loads(jwks(RING))["keys"]
    assert key["use"] == "sig" and key["alg"] == "EdDSA" and "d" not in key
