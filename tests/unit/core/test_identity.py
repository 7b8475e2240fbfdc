"""Which identity headers an application does not get, and why."""

import pytest
from harness.tokens import application

from extproc.core.identity import omissions
from extproc.core.oidc.claims import Claims

APP = application(
    max_header_bytes=3072,
    identity=(
        ("x-auth-sub", "sub"),
        ("x-auth-email", "email"),
        ("x-auth-groups", "groups"),
        ("x-auth-roles", "realm_access.roles"),
    ),
)
ELSEWHERE = {
    "_claim_names": {"groups": "src1", "realm_access": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://graph.example.org/x"}},
}


@pytest.mark.parametrize(
    ("claims", "left_out"),
    [
        ({}, {}),
        ({"groups": [], "email": ""}, {}),
        ({"groups": ["dev"], "email": "a", "email_verified": True}, {}),
        ({"email": "a"}, {"x-auth-email": (False, "trust_email")}),
        ({"groups": ["g" * 3073]}, {"x-auth-groups": (True, "would have 3073 bytes; identity.max_header_bytes allows 3072")}),
        (ELSEWHERE, {"x-auth-groups": (True, "_claim_names"), "x-auth-roles": (True, "_claim_names")}),
        ({**ELSEWHERE, "groups": ["dev"]}, {"x-auth-roles": (True, "_claim_names")}),
        ({"_claim_names": ["groups"]}, {}), ({"_claim_names": "groups"}, {}), ({"_claim_names": None}, {}),
        ({"_claim_names": {"other": "src1"}}, {}),
    ],
)  # fmt: skip
def test_a_header_is_named_if_the_provider_has_something_for_it(claims, left_out):
    found = omissions(APP, Claims({"sub": "alice", **claims}))
    assert [omission.header for omission in found] == list(left_out)
    for omission in found:
        is_fault, text = left_out[omission.header]
        assert omission.is_fault == is_fault and text in omission.detail
        assert dict(APP.identity)[omission.header] == omission.claim


def test_nothing_of_the_provider_s_is_in_the_detail():
    claims = {"_claim_names": {"groups": "EVIL"}, "_claim_sources": {"EVIL": {"endpoint": "EVIL"}}}
    (omission,) = omissions(APP, Claims({"sub": "alice", **claims}))
    assert "EVIL" not in repr(omission)


@pytest.mark.parametrize(
    ("name", "left_out"), [("Zoë", False), ("Doe, Zoë", True), ("", False), (None, False)]
)
def test_a_raw_value_that_would_be_ambiguous_is_named(name, left_out):
    app = application(identity=(("x-name", "name"),), raw_headers=frozenset({"x-name"}))
    found = omissions(app, Claims({"name": name}))
    assert [omission.header for omission in found] == (["x-name"] if left_out else [])
    assert not left_out or "encoding raw" in found[0].detail
