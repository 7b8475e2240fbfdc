"""What `check` knows of public providers."""

import pytest

from extproc.checks.known_providers import known_provider
from extproc.settings import ProviderSettings


@pytest.mark.parametrize(
    ("issuer", "scopes", "part", "remedy"),
    [
        ("https://login.microsoftonline.com/common/v2.0", ["openid"], "issuer", "TENANT-ID"),
        ("https://login.microsoftonline.com/organizations/v2.0", ["openid"], "issuer", "TENANT-ID"),
        ("https://login.microsoftonline.us/common/v2.0", ["openid"], "issuer", ".us/TENANT-ID"),
        ("https://appleid.apple.com", ["openid", "email"], "scopes", "[openid]"),
        (
            "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x",
            ["openid"],
            "end_session",
            "logout_uri",
        ),
        ("https://www.linkedin.com/oauth", ["openid"], "issuer", "a provider between"),
    ],
)
def test_a_provider_that_cannot_be_used_so_is_named_with_what_to_do(issuer, scopes, part, remedy):
    provider = ProviderSettings(issuer=issuer, client_id="x", scopes=tuple(scopes))
    (only,) = known_provider("main", provider)
    assert (only.level, only.part) == ("warning", f"providers.main.{part}")
    assert remedy in only.remedy


@pytest.mark.parametrize(
    ("issuer", "scopes"),
    [
        ("https://login.microsoftonline.com/6b1d3f5e-0000-4000-8000-1f3a5c7e9b0d/v2.0", ["openid"]),
        ("https://appleid.apple.com", ["openid"]),
        ("https://idp.example/common", ["openid", "email"]),
    ],
)
def test_any_other_provider_is_no_finding(issuer, scopes):
    provider = ProviderSettings(issuer=issuer, client_id="x", scopes=tuple(scopes))
    assert not list(known_provider("main", provider))
