"""The logout token: every check (rows LOGO of the catalogue)."""

from dataclasses import replace

import pytest
from harness.refusals import EVIL
from harness.tokens import ISSUER, NOW, Signer, client, key_set, public

from extproc.core.errors import InvalidLogoutToken
from extproc.core.oidc.jose import MAX_VALUES
from extproc.core.oidc.logout_token import (
    EVENT,
    LogoutToken,
    check_unsigned,
    verify_logout_token,
)
from extproc.core.provider_errors import UnknownKey, WrongSignature


def logout_token(**changes):
    right = {
        "iss": ISSUER, "aud": "gateway", "iat": NOW, "exp": NOW + 60, "jti": "j", "sub": "alice", "sid": "s", "events": {EVENT: {}},
    }  # fmt: skip
    claims = {name: value for name, value in (right | changes).items() if value is not None}
    return verify_logout_token(client(), Signer().sign(claims), key_set(), NOW)


@pytest.mark.parametrize(
    ("changes", "check", "detail"),
    [
        ({"iss": EVIL}, "issuer", "iss is not the issuer of the settings"),
        ({"aud": EVIL}, "audience", "aud is not this client"),
        ({"exp": None}, "expired", "exp is missing or no number"),
        ({"events": {EVIL: {}}}, "events", "events has no object for a back-channel logout"),
        ({"nonce": EVIL}, "nonce", "there is a nonce: an ID token is no logout token"),
        ({"jti": None}, "jti", "jti is missing, too long or no printable text"),
        ({"jti": "x" * 1025}, "jti", "jti is missing, too long or no printable text"),
        ({"sid": [EVIL]}, "sid", "sid is too long or no printable text"),
        ({"sid": None, "sub": None}, "subject", "neither sub nor sid"),
        ({"sub": [EVIL]}, "subject", "sub is missing, too long or no printable text"),
    ],
)
def test_the_log_names_the_check_that_a_logout_token_fails(changes, check, detail):
    with pytest.raises(InvalidLogoutToken) as caught:
        logout_token(**changes)
    assert (caught.value.check, caught.value.detail) == (check, detail)


RIGHT = {
    "iss": ISSUER,
    "aud": "gateway",
    "iat": NOW,
    "exp": NOW + 120,
    "jti": "one",
    "events": {EVENT: {}},
    "sub": "alice",
    "sid": "s1",
}
EXPIRES = NOW + 120 + 60 + 1


def claims(**changes):
    return {name: value for name, value in (RIGHT | changes).items() if value is not None}


def verify(token: str, keys=None, now: int = NOW, **of_client) -> LogoutToken:
    return verify_logout_token(client(**of_client), token, keys or key_set(), now)


@pytest.mark.attack("LOGO-05", "LOGO-12")
@pytest.mark.parametrize(
    "typ", ["logout+jwt", "LOGOUT+JWT", "application/logout+jwt", "JWT", "jwt", None]
)
def test_a_right_token_is_accepted_by_every_type_that_providers_send(typ):
    token = Signer().sign(
        claims(unknown={"a": 1}, events={EVENT: {"more": 1}, "urn:other": {}}), typ=typ
    )
    assert verify(token) == LogoutToken(ISSUER, "gateway", "alice", "s1", "one", EXPIRES)


def refused(token: str, **how) -> str:
    with pytest.raises(InvalidLogoutToken) as caught:
        verify(token, **how)
    assert caught.value.status == 400
    return caught.value.check


@pytest.mark.attack("LOGO-08", "LOGO-10", "LOGO-12", "LOGO-13")
@pytest.mark.parametrize(
    ("row", "changes", "check"),
    [
        ("logo_08", {"iss": "https://evil.example"}, "issuer"),
        ("logo_08", {"iss": ISSUER + "/"}, "issuer"),
        ("logo_08", {"iss": None}, "issuer"),
        ("logo_08", {"aud": "another"}, "audience"),
        ("logo_08", {"aud": ["gateway", "another"]}, "audience"),
        ("logo_08", {"aud": None}, "audience"),
        ("logo_10", {"nonce": "n"}, "nonce"),
        ("logo_10", {"nonce": ""}, "nonce"),
        ("logo_12", {"sub": None, "sid": None}, "subject"),
        ("logo_12", {"sub": ""}, "subject"),
        ("logo_12", {"sub": 5}, "subject"),
        ("logo_12", {"sid": ""}, "sid"),
        ("logo_12", {"sid": 5}, "sid"),
        ("logo_12", {"sid": "x" * 256}, "sid"),
        ("logo_12", {"events": None}, "events"),
        ("logo_12", {"events": {}}, "events"),
        ("logo_12", {"events": [EVENT]}, "events"),
        ("logo_12", {"events": EVENT}, "events"),
        ("logo_12", {"events": {EVENT: True}}, "events"),
        ("logo_12", {"events": {EVENT: "{}"}}, "events"),
        ("logo_12", {"events": {EVENT: []}}, "events"),
        ("logo_12", {"events": {"urn:another": {}}}, "events"),
        ("logo_13", {"iat": None}, "issued_at"),
        ("logo_13", {"iat": NOW + 61}, "issued_at"),
        ("logo_13", {"iat": NOW - 3661}, "issued_at"),
        ("logo_13", {"iat": str(NOW)}, "issued_at"),
        ("logo_13", {"exp": None}, "expired"),
        ("logo_13", {"exp": NOW - 60}, "expired"),
        ("logo_13", {"exp": True}, "expired"),
        ("logo_13", {"nbf": NOW + 61}, "not_before"),
        ("logo_13", {"jti": None}, "jti"),
        ("logo_13", {"jti": ""}, "jti"),
        ("logo_13", {"jti": 7}, "jti"),
        ("logo_13", {"jti": "x" * 1025}, "jti"),
        ("logo_13", {"jti": "half a pair \ud800"}, "jti"),
        ("logo_13", {"jti": "two\nlines"}, "jti"),
        ("logo_12", {"sid": "half a pair \ud800"}, "sid"),
        ("logo_12", {"sid": "\x1b]0;owned\x07"}, "sid"),
    ],
)
def test_a_claim_that_is_missing_or_wrong_refuses_the_token(row, changes, check):
    assert refused(Signer().sign(claims(**changes), typ="logout+jwt")) == check


def test_a_token_is_remembered_for_as_long_as_it_would_be_taken():
    assert verify(Signer().sign(claims(exp=1e300))).expires == NOW + 3600 + 60 + 1


def test_clocks_may_differ():
    for changes in ({"iat": NOW + 60}, {"exp": NOW - 59}):
        assert verify(Signer().sign(claims(**changes))).sid == "s1"


@pytest.mark.attack("LOGO-05", "LOGO-06", "LOGO-07", "LOGO-12")
@pytest.mark.parametrize(
    ("row", "token", "check"),
    [
        ("logo_06", lambda: Signer().sign(claims(), alg="none"), "algorithm"),
        (
            "logo_06",
            lambda: Signer().sign(claims(), alg="none").rpartition(".")[0] + ".",
            "algorithm",
        ),
        ("logo_07", lambda: Signer("ES256").sign(claims()), "algorithm"),
        ("logo_07", lambda: Signer("PS256").sign(claims()), "algorithm"),
        ("logo_12", lambda: Signer().sign(claims(), typ="at+jwt"), "type"),
        ("logo_12", lambda: Signer().sign(claims(), typ="secevent+jwt"), "type"),
        ("logo_05", lambda: Signer().sign(claims(), crit=["x"]), "header"),
        ("logo_05", lambda: Signer().sign(b"[]"), "signature"),
        ("logo_05", lambda: "no token", "malformed"),
        ("logo_05", lambda: "", "malformed"),
    ],
)
def test_a_token_that_is_signed_otherwise_is_refused(row, token, check):
    assert (
        refused(token(), keys=key_set(public("RS256"), public("ES256"), public("PS256"))) == check
    )


def test_a_key_that_is_not_known_yet_is_asked_for_and_no_refusal():
    with pytest.raises(UnknownKey):
        verify(Signer(name="2").sign(claims()))
    # The provider may have replaced the key under its kid.
    with pytest.raises(WrongSignature):
        verify(Signer(name="2").sign(claims(), kid="RS256-1"))


@pytest.mark.attack("LOGO-22")
def test_what_a_token_says_is_checked_before_its_key():
    """Otherwise any client could have keys fetched by a token that says nothing."""
    stranger = Signer(name="2")
    assert refused(stranger.sign({})) == "issuer"
    assert refused(stranger.sign(claims(aud="another"))) == "audience"
    assert refused(stranger.sign(b"[]")) == "signature"
    for token, check, detail in (
        (stranger.sign({}), "issuer", "iss is not the issuer of the settings"),
        (stranger.sign(claims(exp=None)), "expired", "exp is missing or no number"),
        (stranger.sign(b"{"), "signature", "the payload is no JSON object"),
        ("x", "malformed", "not three segments of base64url"),
    ):
        with pytest.raises(InvalidLogoutToken) as caught:
            check_unsigned(client(), token, NOW)
        assert (caught.value.check, caught.value.detail) == (check, detail)
    check_unsigned(client(), stranger.sign(claims()), NOW)


@pytest.mark.attack("LOGO-22")
@pytest.mark.parametrize("where", ["claims", "header"])
def test_a_token_of_very_many_small_values_is_refused_before_it_is_read(where):
    """Anybody can post one, and to read 64 kB of them would take the event loop milliseconds."""
    many = [0] * MAX_VALUES
    claims, header = (RIGHT | {"x": many}, {}) if where == "claims" else (RIGHT, {"x": many})
    with pytest.raises(InvalidLogoutToken) as refused:
        check_unsigned(client(), Signer().sign(claims, **header), NOW)
    assert (refused.value.check, refused.value.detail) == ("malformed", "more than 1000 values")
    few = RIGHT | {"x": [0] * (MAX_VALUES - 20)}
    check_unsigned(client(), Signer().sign(few), NOW)


def test_two_tokens_are_one_only_with_the_same_issuer_client_and_jti():
    token = verify(Signer().sign(claims()))
    others = (replace(token, issuer="i"), replace(token, client_id="c"), replace(token, jti="j"))
    assert len({token.key, *(other.key for other in others)}) == 4
    assert replace(token, subject=None).key == token.key
