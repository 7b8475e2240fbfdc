"""Settings of access tokens as values of the core."""

import pytest

from extproc.core.oidc.access_token import AccessTokenProfile
from extproc.core.oidc.client import ClientCredentials
from extproc.settings.domain_tokens import access_token_profile

API = "https://api.example"


def test_what_is_not_set_is_that_of_the_provider(read):
    change = {"id_token_signed_response_alg": "ES256", "groups_claim": "roles", "trust_email": True}
    settings = read({"providers": {"main": change}, "timeouts": {"clock_skew": 5}})
    assert access_token_profile(settings, "main", [API]) == AccessTokenProfile(
        provider="main",
        issuer="https://idp.example",
        alg="ES256",
        types=("at+jwt",),
        required_claims=(),
        scope_claim="scope",
        audiences=frozenset({API}),
        client_ids=frozenset({"gateway"}),
        clock_skew=5,
        groups_claim="roles",
        trust_email=True,
        introspection=None,
    )


def test_what_is_set_reaches_the_core(read):
    tokens = {
        "signing_alg": "PS256",
        "types": ["JWT"],
        "required_claims": {"token_use": ["access"], "ver": [1, 2.5, True]},
        "scope_claim": "scp",
        "introspection": {"client_id": "asks", "client_secret": "s3cret"},
    }
    settings = read({"providers": {"main": {"access_tokens": tokens}}})
    profile = access_token_profile(settings, "main", [API])
    assert (profile.alg, profile.types, profile.scope_claim) == ("PS256", ("JWT",), "scp")
    assert profile.required_claims == (("token_use", ("access",)), ("ver", (1, 2.5, True)))
    assert type(profile.required_claims[1][1][2]) is bool
    assert profile.introspection == ClientCredentials("asks", "client_secret_basic", "s3cret")


def test_every_client_at_the_issuer_is_known_and_no_other(read):
    asking = {"introspection": {"client_id": "asks", "client_secret": "s"}}
    same = {"issuer": "https://idp.example", "client_id": "second", "access_tokens": asking}
    other = {"issuer": "https://other.example", "client_id": "third"}
    settings = read({"providers": {"same": same, "other": other}})
    profile = access_token_profile(settings, "main", [])
    assert profile.client_ids == {"gateway", "second", "asks"}


def test_a_secret_whose_file_is_gone_is_an_error(tmp_path, read):
    file = tmp_path / "secret"
    file.write_text("s")
    asking = {"introspection": {"client_id": "asks", "client_secret_file": str(file)}}
    settings = read({"providers": {"main": {"access_tokens": asking}}})
    file.unlink()
    with pytest.raises(FileNotFoundError):
        access_token_profile(settings, "main", [])
