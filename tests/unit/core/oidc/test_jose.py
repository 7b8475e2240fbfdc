"""Key sets: which keys are kept, and which one a token is verified with."""

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import NOW, Signer, client, id_token_claims, key_set, pending, public

from extproc.core.oidc.id_token import verify_id_token
from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.provider_errors import InvalidAnswer, UnknownKey, UnverifiedToken, WrongSignature


def id_token(keys=None, **changes):
    token = Signer().sign(id_token_claims(**changes))
    return verify_id_token(client(), token, "at", pending().nonce, keys or key_set(), NOW)


def compact(token: str):
    return verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)


@pytest.mark.parametrize(
    ("call", "kind", "detail"),
    [
        (lambda: id_token(keys=key_set(public("ES256"))), UnknownKey, "no key of the set fits"),
        (lambda: compact(Signer().sign(id_token_claims(), kid=EVIL)), UnknownKey, "no key of the set fits"),
        (lambda: id_token(keys=key_set(public("RS256"), public("RS256"))), UnknownKey, "several keys fit and the token names none"),
        (lambda: KeySet.parse(EVIL.encode()), InvalidAnswer, "the key set is not JSON"),
        (lambda: KeySet.parse(b'{"keys":{}}'), InvalidAnswer, "the key set has no list of keys"),
    ],
)  # fmt: skip
def test_the_log_names_why_no_key_is_found(call, kind, detail):
    assert raised(call) == (kind, detail)


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("keys", [key_set(), KeySet(())], ids=["keys", "no keys"])
def test_a_token_that_is_signed_with_the_client_secret_is_said_to_be(alg, keys):
    token = Signer().sign(id_token_claims(), alg=alg)
    kind, detail = raised(
        lambda: verify_id_token(client(), token, "at", pending().nonce, keys, NOW)
    )
    assert kind is UnverifiedToken and f"the client secret ({alg})" in detail
    assert "sign this client's tokens with RS256" in detail


def test_a_kid_of_256_characters_is_looked_for_and_a_key_without_use_is_found():
    token = Signer().sign(id_token_claims(), kid="k" * 256)
    with pytest.raises(UnknownKey):
        verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)
    entry = {name: value for name, value in public("RS256").items() if name not in ("use", "alg")}
    assert verify_id_token(
        client(), Signer().sign(id_token_claims()), "at", pending().nonce, key_set(entry), NOW
    )


@pytest.mark.attack("KEYS-11")
@pytest.mark.parametrize(
    ("body", "said"),
    [(b"[]", "no JSON object"), (b"{", "the key set"), (b'{"keys":{}}', "no list")],
)
def test_what_is_no_key_set_is_refused(body, said):
    with pytest.raises(InvalidAnswer) as refused:
        KeySet.parse(body)
    assert said in refused.value.detail


@pytest.mark.parametrize(
    "changes", [{"kid": 5}, {"alg": 5}, {"kty": 5}, {"use": "enc"}, {"key_ops": "verify"}]
)
def test_a_key_that_is_malformed_or_not_for_signatures_is_left_out(changes):
    kept = key_set({**public("RS256"), **changes}, public("ES256"))
    assert [key.kty for key in kept.keys] == ["EC"]


def test_a_header_member_that_is_not_critical_is_ignored():
    """RFC 7515 section 4: whoever does not understand it ignores it."""
    token = SignedToken.parse(Signer().sign(id_token_claims(), mine={"a": 1}), "RS256")
    assert token.verified(key_set())["sub"] == "alice"


@pytest.mark.parametrize("payload", [b"[]", b"<b>", b"\xff", b'{"a":NaN}'])
def test_a_payload_that_is_no_json_object_is_refused_before_any_key_is_looked_for(payload):
    token = SignedToken.parse(Signer().sign(payload), "RS256")
    with pytest.raises(UnverifiedToken) as refused:
        token.unverified()
    assert (refused.value.check, refused.value.detail) == (
        "signature",
        "the payload is no JSON object",
    )


def test_a_token_s_header_names_its_key_and_cannot_name_more():
    token = SignedToken.parse(Signer().sign(id_token_claims()), "RS256")
    assert token.header["kid"] == "RS256-1"
    assert token.verified(key_set())["sub"] == "alice"
    assert raised(lambda: token.verified(key_set(public("ES256"))))[0] is UnknownKey
    replaced = key_set(public("RS256", "2", kid="RS256-1"))
    assert raised(lambda: token.verified(replaced))[0] is WrongSignature
