"""The ID token: every lie that a provider, or somebody in its name, can tell (rows CONF, IDT, FAPI
of the catalogue).
"""

import base64
import hashlib
import hmac
import json
import warnings

import pytest
from harness.refusals import EVIL, raised
from harness.tokens import (
    ISSUER,
    NOW,
    Signer,
    client,
    id_token_claims,
    key,
    key_set,
    pending,
    public,
)
from joserfc import jwk

from extproc.core.encoding import b64encode
from extproc.core.oidc.id_token import IDToken, UserInfo, claims_of, verify_id_token
from extproc.core.oidc.jose import KeySet
from extproc.core.provider_errors import (
    InvalidIDToken,
    InvalidUserInfo,
    SubjectMismatch,
    UnknownKey,
    UnverifiedUserInfo,
)

ALGS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]


def verify(token, *, keys=None, alg="RS256", access_token="at", now=NOW, **of_client) -> IDToken:
    return verify_id_token(
        client(id_token_signed_response_alg=alg, **of_client),
        token,
        access_token,
        pending().nonce,
        keys or key_set(public(alg)),
        now,
    )


def refused(token, **how) -> str:
    with pytest.raises(InvalidIDToken) as caught:
        verify(token, **how)
    return caught.value.check


@pytest.mark.attack("CONF-08")
@pytest.mark.parametrize("alg", ALGS)
def test_a_right_token_is_accepted_in_every_algorithm(alg):
    token = verify(Signer(alg).sign(id_token_claims(), typ="JWT"), alg=alg)
    assert (token.subject, token.claims["groups"]) == ("alice", ["admins", "dev"])


@pytest.mark.attack(
    "CONF-02",
    "CONF-03",
    "CONF-04",
    "CONF-05",
    "CONF-12",
    "CONF-23",
    "IDT-13",
    "IDT-14",
    "IDT-16",
    "IDT-18",
    "IDT-19",
)
@pytest.mark.threat("one-login")
@pytest.mark.parametrize(
    ("row", "changes", "check"),
    [
        ("conf_02", {"iss": "https://evil.example"}, "issuer"),
        ("conf_03", {"sub": None}, "subject"),
        ("conf_04", {"aud": "another"}, "audience"),
        ("conf_05", {"iat": None}, "issued_at"),
        ("conf_12", {"nonce": "x" * 32}, "nonce"),
        ("conf_12", {"nonce": None}, "nonce"),
        ("conf_12", {"nonce": 5}, "nonce"),
        ("conf_12", {"nonce": "\ud800"}, "nonce"),
        ("conf_23", {"aud": None}, "audience"),
        *[
            ("idt_13", {"iss": iss}, "issuer")
            for iss in (
                ISSUER + "/",
                ISSUER.upper(),
                "https://idp.exampl",
                ISSUER + ".evil",
                [ISSUER],
                None,
                1,
            )
        ],
        *[
            ("idt_14", {"aud": aud}, "audience")
            for aud in (
                "gate",
                "gateway2",
                [],
                "",
                7,
                ["gateway", "other"],
                ["other"],
                [["gateway"]],
                {"gateway": 1},
                True,
            )
        ],
        ("idt_14", {"aud": ["gateway", "other"], "azp": "gateway"}, "audience"),
        ("idt_14", {"azp": "other"}, "audience"),
        ("idt_14", {"azp": 1}, "audience"),
        ("idt_16", {"iat": NOW + 65}, "issued_at"),
        ("idt_16", {"iat": NOW - 86_400}, "issued_at"),
        ("idt_16", {"nbf": NOW + 65}, "not_before"),
        ("idt_16", {"nbf": "soon"}, "not_before"),
        ("idt_16", {"exp": NOW - 60}, "expired"),
        *[("idt_16", {"exp": exp}, "expired") for exp in (None, "9999999999", True, [NOW + 9])],
        *[("idt_16", {"iat": iat}, "issued_at") for iat in ("1", False)],
        *[
            ("idt_19", {"sub": sub}, "subject")
            for sub in ("", 5, "x" * 256, "a\nb", "a\x00", "   ", ["alice"], "\x7f")
        ],
        ("idt_18", {"at_hash": "wrong"}, "at_hash"),
        ("idt_18", {"at_hash": None, "at_hash ": 1, "auth_time": "now"}, "malformed"),
        ("idt_18", {"at_hash": 5}, "at_hash"),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict) else None
    ),
)
def test_a_token_with_a_wrong_claim_is_refused(row, changes, check):
    assert refused(Signer().sign(id_token_claims(**changes))) == check


@pytest.mark.attack("IDT-16")
@pytest.mark.parametrize(
    "changes",
    [
        {"iat": NOW + 59},
        {"exp": NOW - 59},
        {"nbf": NOW + 59},
        {"iat": NOW - 3600},
        {"auth_time": 0},
        {"auth_time": NOW - 0.35},
        {"exp": NOW + 1.5},
    ],
)
def test_the_edges_of_the_leeway_are_accepted(changes):
    assert verify(Signer().sign(id_token_claims(**changes))).subject == "alice"


TRUSTED = frozenset(("456@proj", "270000000000000001"))


@pytest.mark.parametrize(
    ("changes", "accepted"),
    [
        ({"aud": ["gateway", "456@proj", "270000000000000001"], "azp": "gateway"}, True),
        ({"aud": ["456@proj", "gateway"], "azp": "gateway"}, True),
        ({"aud": "gateway"}, True), ({"aud": ["gateway"]}, True),
        ({"aud": ["gateway", "456@proj"]}, False), ({"aud": ["gateway", "456@proj"], "azp": None}, False),
        ({"aud": ["gateway", "456@proj"], "azp": "456@proj"}, False), ({"aud": "gateway", "azp": "456@proj"}, False),
        ({"aud": ["gateway", "other"], "azp": "gateway"}, False), ({"aud": ["gateway", "456@proj", "other"], "azp": "gateway"}, False),
        ({"aud": ["456@proj"], "azp": "gateway"}, False), ({"aud": "456@proj", "azp": "gateway"}, False), ({"aud": []}, False),
        ({"aud": ["gateway", 5], "azp": "gateway"}, False), ({"aud": ["gateway", ["456@proj"]], "azp": "gateway"}, False),
        ({"aud": ["gateway", None], "azp": "gateway"}, False), ({"aud": ["gateway", "456@PROJ"], "azp": "gateway"}, False),
        ({"aud": ["gateway", "gateway"], "azp": "gateway"}, False), ({"aud": {"gateway": 1}}, False), ({"aud": "gateway 456@proj"}, False),
    ],
)  # fmt: skip
def test_further_audiences_have_to_be_trusted_and_the_client_to_be_the_authorized_party(
    changes, accepted
):
    token = Signer().sign(id_token_claims(**changes))
    if accepted:
        assert verify(token, trusted_audiences=TRUSTED).subject == "alice"
    else:
        with pytest.raises(InvalidIDToken) as refusal:
            verify(token, trusted_audiences=TRUSTED)
        assert refusal.value.check == "audience"


@pytest.mark.parametrize(
    ("ahead", "accepted"), [(0, True), (60, True), (61, False), (1e300, False)]
)
def test_an_auth_time_of_the_future_is_refused_whether_it_was_asked_for_or_not(ahead, accepted):
    token = Signer().sign(id_token_claims(auth_time=NOW + ahead))
    if accepted:
        assert verify(token).auth_time == NOW + ahead
    else:
        with pytest.raises(InvalidIDToken, match="auth_time is in the future"):
            verify(token)


@pytest.mark.attack("FAPI-07")
def test_an_audience_list_of_us_alone_is_accepted():
    assert verify(Signer().sign(id_token_claims(aud=["gateway"], azp="gateway"))).subject == "alice"


@pytest.mark.attack("IDT-01", "IDT-09")
@pytest.mark.threat("id-token")
@pytest.mark.parametrize(
    "alg", ["none", "None", "nOnE", "", None, "HS256", "RS512", "PS256", "ES256", 5, ["RS256"]]
)
def test_another_algorithm_in_the_header_is_refused(alg):
    assert refused(Signer().sign(id_token_claims(), alg=alg)) == "algorithm"


@pytest.mark.attack("CONF-29")
@pytest.mark.parametrize("alg", ["ES256", "EdDSA"])
def test_a_broken_signature_is_refused_in_the_registered_algorithm(alg):
    head, _, signature = Signer(alg).sign(id_token_claims()).split(".")
    assert (
        refused(
            f"{head}.{b64encode(json.dumps(id_token_claims(sub='bob')).encode())}.{signature}",
            alg=alg,
        )
        == "signature"
    )
    assert refused(Signer(alg).sign(id_token_claims(), alg="HS256"), alg=alg) == "algorithm"


@pytest.mark.attack("CONF-09", "IDT-01")
@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "RS256", "kid": "RS256-1"}])
def test_a_token_without_a_signature_is_refused(header):
    head, body = (
        b64encode(json.dumps(header).encode()),
        b64encode(json.dumps(id_token_claims()).encode()),
    )
    assert refused(f"{head}.{body}.") in ("algorithm", "signature")


@pytest.mark.attack("IDT-02")
@pytest.mark.threat("id-token")
def test_the_public_key_as_an_hmac_secret_is_refused():
    head, body = (
        b64encode(b'{"alg":"HS256","kid":"RS256-1"}'),
        b64encode(json.dumps(id_token_claims()).encode()),
    )
    for secret in (key("RS256").as_pem(private=False), json.dumps(public("RS256")).encode()):
        mac = hmac.digest(secret, f"{head}.{body}".encode(), hashlib.sha256)
        assert refused(f"{head}.{body}.{b64encode(mac)}") == "algorithm"
    # and an oct key in the set is no key for us
    assert not KeySet.parse(
        json.dumps({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]}).encode()
    ).keys


@pytest.mark.attack("CONF-10")
def test_a_broken_signature_is_refused():
    token = Signer().sign(id_token_claims())
    head, body, signature = token.split(".")
    flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
    flipped[0] ^= 1
    assert refused(f"{head}.{body}.{b64encode(bytes(flipped))}") == "signature"
    assert (
        refused(f"{head}.{b64encode(json.dumps(id_token_claims(sub='bob')).encode())}.{signature}")
        == "signature"
    )


@pytest.mark.attack("IDT-05")
@pytest.mark.threat("id-token")
def test_a_key_in_the_token_itself_has_no_say():
    mine = key("RS256", "attacker").as_dict(private=False)
    assert (
        refused(Signer("RS256", "attacker").sign(id_token_claims(), kid="RS256-1", jwk=mine))
        == "signature"
    )
    assert (
        refused(
            Signer("RS256", "attacker").sign(
                id_token_claims(),
                kid=None,
                jwk=mine,
                jku="https://evil.example",
                x5u="https://evil.example",
            )
        )
        == "signature"
    )


@pytest.mark.attack("IDT-07")
@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"crit": ["gone"]},
        {"b64": False},
        {"zip": "DEF"},
    ],
)
def test_critical_headers_are_refused(header):
    assert refused(Signer().sign(id_token_claims(), **header)) == "header"


@pytest.mark.attack("IDT-07")
@pytest.mark.parametrize("typ", ["at+jwt", "logout+jwt", "", 5, "JOSE"])
def test_a_token_of_another_type_is_refused(typ):
    assert refused(Signer().sign(id_token_claims(), typ=typ)) == "type"


@pytest.mark.attack("IDT-09")
def test_a_key_made_for_another_algorithm_is_not_used():
    token = Signer().sign(id_token_claims())
    for entry in (
        public("RS256", alg="RS512"),
        public("RS256", use="enc"),
        public("RS256", key_ops=["encrypt"]),
        public("ES256", kid="RS256-1"),
    ):
        assert refused(token, keys=key_set(entry)) == "key"


@pytest.mark.attack("IDT-11")
def test_es256_signatures_of_other_shapes_are_refused():
    head, body, signature = Signer("ES256").sign(id_token_claims()).split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    der = b"\x30\x44\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:]
    for other in (bytes(64), der, raw[:63], raw + b"\x00", raw[:32] + bytes(32)):
        assert refused(f"{head}.{body}.{b64encode(other)}", alg="ES256") == "signature"
    p384 = jwk.ECKey.generate_key("P-384").as_dict(private=False)
    assert (
        refused(f"{head}.{body}.{signature}", alg="ES256", keys=key_set({**p384, "kid": "ES256-1"}))
        == "key"
    )


@pytest.mark.attack("IDT-21")
@pytest.mark.parametrize(
    "mangle",
    [
        lambda t: t.rsplit(".", 1)[0],
        lambda t: t + ".x",
        lambda t: t + "=",
        lambda t: t.replace(".", "\n.", 1),
        lambda t: " " + t,
        lambda t: t + "\n",
        lambda t: "+" + t[1:],
        lambda t: "..",
        lambda t: "",
        lambda t: "é.é.é",
        lambda t: "e30." + t.split(".", 1)[1],
        lambda t: b64encode(b"[]") + "." + t.split(".", 1)[1],
        lambda t: b64encode(b'{"alg":"RS256","alg":"RS256"}') + "." + t.split(".", 1)[1],
    ],
)
def test_what_is_no_compact_token_is_refused(mangle):
    assert refused(mangle(Signer().sign(id_token_claims()))) in ("malformed", "algorithm")


@pytest.mark.attack("IDT-21")
@pytest.mark.parametrize("kid", ["x" * 1_000, "../../etc/passwd", "' OR 1=1 --", 5, [], ""])
def test_a_strange_kid_finds_no_key(kid):
    assert refused(Signer().sign(id_token_claims(), kid=kid)) == "key"


@pytest.mark.attack("IDT-22")
@pytest.mark.threat("bounds")
def test_an_oversized_token_is_refused_before_anything_is_decoded():
    assert refused("A" * 5_000_000 + ".e30.x") == "malformed"


@pytest.mark.attack("IDT-23")
def test_an_encrypted_token_is_refused():
    assert (
        refused("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00iLCJ6aXAiOiJERUYifQ.x.x.x.x")
        == "malformed"
    )


@pytest.mark.attack("CONF-06")
def test_a_token_without_kid_is_accepted_when_one_key_fits():
    token = Signer().sign(id_token_claims(), kid=None)
    assert (
        verify(token, keys=key_set(public("RS256", kid=None), public("ES256"))).subject == "alice"
    )
    with pytest.raises(UnknownKey):
        verify(token, keys=key_set(public("RS256"), public("RS256", "2")))


@pytest.mark.attack("KEYS-11")
def test_malformed_keys_do_not_harm_the_good_ones():
    bad = [
        None,
        5,
        {},
        {"kty": "RSA"},
        {"kty": "RSA", "n": "!!", "e": "AQAB"},
        {"kty": "XX"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        public("RS256", kid=5),
    ]
    assert (
        verify(Signer().sign(id_token_claims()), keys=key_set(*bad, public("RS256"))).subject
        == "alice"
    )


def test_a_weak_rsa_key_is_left_out():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        weak = jwk.RSAKey.generate_key(1024).as_dict(private=False)
    assert not key_set(weak).keys


@pytest.mark.attack("IDT-18")
@pytest.mark.parametrize(
    ("alg", "name"),
    [("RS256", "sha256"), ("RS384", "sha384"), ("ES512", "sha512"), ("EdDSA", "sha512")],
)
def test_at_hash_is_compared_in_the_algorithm_s_hash(alg, name):
    digest = hashlib.new(name, b"at").digest()
    claims = id_token_claims(at_hash=b64encode(digest[: len(digest) // 2]))
    assert verify(Signer(alg).sign(claims), alg=alg).subject == "alice"
    assert refused(Signer(alg).sign(claims), alg=alg, access_token="another") == "at_hash"


@pytest.mark.parametrize(
    "payload", [b"[]", b"null", b'"x"', b"{", b'{"sub":"a","sub":"b"}', b'{"exp":NaN}', b"\xff"]
)
def test_a_payload_that_is_no_json_object_is_refused(payload):
    assert refused(Signer().sign(payload)) == "signature"


# -- UserInfo --------------------------------------------------------------------------------------


def known(userinfo: UserInfo | None, keys=None):
    return claims_of(
        client(), verify(Signer().sign(id_token_claims())), userinfo, keys or key_set()
    )


def test_userinfo_lies_over_the_id_token_and_protocol_claims_are_left_out():
    claims = known(
        UserInfo("application/json", b'{"sub":"alice","email":"new@example.com","iss":"x"}')
    )
    assert claims.values == {
        "sub": "alice",
        "email": "new@example.com",
        "groups": ["admins", "dev"],
    }


@pytest.mark.attack("CONF-11")
@pytest.mark.parametrize("body", [b'{"sub":"bob"}', b'{"sub":["alice"]}', b'{"sub":""}'])
def test_userinfo_of_another_subject_is_refused(body):
    with pytest.raises(SubjectMismatch):
        known(UserInfo("application/json", body))


@pytest.mark.attack("CONF-11")
@pytest.mark.parametrize("body", [b"{}", b'{"sub":null}', b'{"name":"Alice"}'])
def test_userinfo_without_a_subject_is_refused_and_not_called_another_users(body):
    with pytest.raises(InvalidUserInfo, match="has no sub"):
        known(UserInfo("application/json", body))


def test_signed_userinfo_whose_key_is_not_known_may_be_verified_by_newer_keys():
    claims = {"sub": "alice", "iss": ISSUER, "aud": "gateway"}
    for signer, header in (
        (Signer("RS256", "2"), {}),
        (Signer("RS256", "2"), {"kid": "RS256-1"}),
    ):
        userinfo = UserInfo("application/jwt", signer.sign(claims, **header).encode())
        with pytest.raises(UnverifiedUserInfo):
            known(userinfo)


@pytest.mark.attack("IDT-29")
@pytest.mark.parametrize(
    "body", [b"[]", b'"alice"', b"<html>", b"", b"\xff", b'{"sub":"alice","sub":"alice"}']
)
def test_userinfo_that_is_no_object_is_refused(body):
    with pytest.raises(InvalidUserInfo):
        known(UserInfo("application/json", body))


@pytest.mark.attack("CONF-22")
def test_signed_userinfo_is_verified():
    said = {"iss": ISSUER, "aud": "gateway", "sub": "alice", "name": "Alice"}
    assert known(UserInfo("application/jwt", Signer().sign(said).encode())).get("name") == "Alice"
    for other in ({**said, "iss": "https://evil.example"}, {**said, "aud": "x"}, {"sub": "alice"}):
        with pytest.raises(InvalidUserInfo):
            known(UserInfo("application/jwt", Signer().sign(other).encode()))
    with pytest.raises(InvalidUserInfo):
        known(
            UserInfo(
                "Application/JWT; x=1", Signer("RS256", "other").sign(said, kid="RS256-1").encode()
            )
        )


def id_token(keys=None, trusted=(), **changes):
    token, own = Signer().sign(id_token_claims(**changes)), client(trusted_audiences=trusted)
    return verify_id_token(own, token, "at", pending().nonce, keys or key_set(), NOW)


def header(**changes):
    return verify_id_token(
        client(), Signer().sign(id_token_claims(), **changes), "at", pending().nonce, key_set(), NOW
    )


def compact(token: str):
    return verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)


@pytest.mark.parametrize(
    ("call", "check", "detail"),
    [
        (lambda: id_token(iss=EVIL), "issuer", "iss is not the issuer of the settings"),
        (lambda: id_token(auth_time=EVIL), "malformed", "auth_time is no number"),
        (lambda: id_token(nonce=EVIL), "nonce", "nonce is not the one that was sent"),
        (lambda: id_token(sub=EVIL + "\n"), "subject", "sub is missing, too long or no printable text"),
        (lambda: id_token(aud=EVIL), "audience", "aud is not this client"),
        (lambda: id_token(aud=["gateway", EVIL]), "audience", "aud is not this client alone (setting trusted_audiences)"),
        (lambda: id_token(azp=EVIL), "audience", "azp is another client"),
        (lambda: id_token(trusted=("b",), aud=["gateway", "b"]), "audience", "aud has several audiences, and azp is missing"),
        (lambda: id_token(exp=EVIL), "expired", "exp is missing or no number"),
        (lambda: id_token(iat=EVIL), "issued_at", "iat is missing or no number"),
        (lambda: id_token(iat=NOW - 3661), "issued_at", "iat is more than an hour past: 3661 s ago; leeway 60 s; check both clocks"),
        (lambda: id_token(nbf=EVIL), "not_before", "nbf is no number"),
        (lambda: id_token(exp=NOW - 600), "expired", "exp was 600 s ago; leeway 60 s; check both clocks"),
        (lambda: id_token(iat=NOW + 900), "issued_at", "iat is 900 s in the future; leeway 60 s; check both clocks"),
        (lambda: id_token(nbf=NOW + 61), "not_before", "nbf is 61 s in the future; leeway 60 s; check both clocks"),
        (lambda: id_token(exp=NOW - 31_535_999), "expired", "exp was 31535999 s ago; leeway 60 s; check both clocks"),
        (lambda: id_token(exp=NOW - 31_536_000), "expired", "exp was years ago; leeway 60 s; check both clocks"),
        (lambda: id_token(iat=10**300), "issued_at", "iat is years in the future; leeway 60 s; check both clocks"),
        (lambda: id_token(at_hash=EVIL), "at_hash", "at_hash is not of this access token"),
        (lambda: header(alg=EVIL), "algorithm", "signed with another algorithm than RS256 (setting id_token_signed_response_alg)"),
        (lambda: header(crit=[EVIL]), "header", "a critical or unknown processing header"),
        (lambda: header(typ=EVIL), "type", "typ is of another kind of token"),
        (lambda: header(kid=[EVIL]), "key", "kid is no short text"),
        (lambda: header(kid="x" * 257), "key", "kid is no short text"),
        (lambda: compact("A" * 65_537), "malformed", "longer than 64 kB"),
        (lambda: compact("A" * 65_536), "malformed", "not three segments of base64url"),
        (lambda: compact(f"{b64encode(EVIL.encode())}.e30.e30"), "malformed", "the header is no JSON object"),
        (lambda: compact(Signer("RS256", "2").sign(id_token_claims(), kid="RS256-1")), "signature", "the signature or its payload is not right"),
    ],
)  # fmt: skip
def test_the_log_names_the_check_that_an_id_token_fails(call, check, detail):
    with pytest.raises(InvalidIDToken) as caught:
        call()
    assert (caught.value.check, caught.value.detail) == (check, detail)


@pytest.mark.parametrize(
    ("userinfo", "kind", "detail"),
    [
        (UserInfo("application/json", json.dumps({"sub": EVIL}).encode()), SubjectMismatch, "sub of UserInfo is not sub of the ID token"),
        (UserInfo("application/json", b'{"name": "x"}'), InvalidUserInfo, "UserInfo has no sub, so it is unknown whose claims it has"),
        (UserInfo("text/html", EVIL.encode()), InvalidUserInfo, "UserInfo is not JSON"),
        (UserInfo("text/html", b"[]"), InvalidUserInfo, "UserInfo is no JSON object"),
        (UserInfo("application/jwt", EVIL.encode()), InvalidUserInfo, "signed UserInfo: not three segments of base64url"),
        (UserInfo("application/jwt", Signer().sign({"iss": EVIL, "aud": "gateway", "sub": "alice"}).encode()), InvalidUserInfo, "signed UserInfo of another issuer"),
        (UserInfo("application/jwt", "é.é.é".encode()), InvalidUserInfo, "signed UserInfo: not three segments of base64url"),
        (UserInfo("application/json", b'{"sub": ' + b"9" * 5000 + b"}"), InvalidUserInfo, "UserInfo is not JSON"),
    ],
)  # fmt: skip
def test_the_log_names_what_is_wrong_with_userinfo(userinfo, kind, detail):
    assert raised(lambda: claims_of(client(), id_token(), userinfo, key_set())) == (kind, detail)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("s", "s"),
        ("s" * 255, "s" * 255),
        ("s" * 256, None),
        ("", None),
        (5, None),
        (None, None),
        ("\x1b]0;x\x07", None),
        ("\ud800", None),
    ],
)
def test_a_sid_that_is_none_is_not_kept(said, kept):
    token = Signer().sign(id_token_claims(sid=said, acr=said, sub="a" * 255))
    verified = verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)
    assert verified.sid == kept and verified.acr == (said if isinstance(said, str) else None)
    assert verified.subject == "a" * 255


@pytest.mark.parametrize("changes", [{"iat": NOW - 3660}, {"nbf": NOW + 60}, {"sub": "a"}])
def test_the_very_edge_is_accepted(changes):
    token = Signer().sign(id_token_claims(**changes), kid="RS256-1")
    assert verify_id_token(client(), token, "at", pending().nonce, key_set(), NOW)
