"""How a client authenticates at the token endpoint."""

import pytest
from harness.tokens import client, pending

from extproc.core.oidc.token import code_grant


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


@pytest.mark.parametrize(
    ("method", "mine"),
    [
        ("client_secret_post", {"client_id": "gateway", "client_secret": "s3cret"}),
        ("none", {"client_id": "gateway"}),
        ("client_secret_basic", {}),
    ],
)
def test_how_a_client_says_who_it_is(method, mine):
    asked = client(auth_method=method).authenticated((("grant_type", "x"),))
    assert dict(asked.parameters) == {"grant_type": "x", **mine}
    assert (asked.authorization is not None) is (method == "client_secret_basic")
