"""Access tokens of npm oidc-provider, a certified provider: JWTs of RFC 9068, and introspection."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from time import time

import pytest
from harness.oidc_provider import OidcProvider
from harness.providers import SECRET
from harness.tokens import application, request, token_profile

from extproc.core.bearer_access import BearerAccess
from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.oidc.access_token import AccessToken, is_jwt
from extproc.core.oidc.client import ClientCredentials
from extproc.core.provider_errors import ClientRefused
from extproc.provider.client import Provider
from extproc.relying_party.access_tokens import COUNTS, AccessTokens
from extproc.settings import Limits, ProviderSettings, Timeouts

API, OTHER = "https://api.example/", "https://other.example/"
ASKS = ClientCredentials("introspector", "client_secret_basic", SECRET)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    provider = OidcProvider(direct=True)
    with provider:
        yield provider.run(tmp_path_factory.mktemp("idp"), RESOURCES=f"{API},{OTHER}")


class Api:
    """An application that takes the provider's tokens for API, JWT or opaque."""

    def __init__(self, issuer: OidcProvider, provider: Provider) -> None:
        self.passed = 0.0
        self.tokens = AccessTokens({"main": provider}, time, 0, lambda: self.passed)
        self.profile = token_profile(
            issuer=issuer.address, audiences=frozenset({API}), introspection=ASKS
        )

    async def verify(self, token: str, **changes: object) -> AccessToken:
        profile = replace(self.profile, **changes)
        app = application(bearer=BearerAccess((profile,), profile))
        return await self.tokens.verify(app, request(), token)

    async def refused(self, token: str) -> str:
        with pytest.raises(InvalidAccessToken) as caught:
            await self.verify(token)
        return caught.value.check


@pytest.fixture
async def api(issuer: OidcProvider) -> AsyncIterator[Api]:
    settings = ProviderSettings(issuer=issuer.address, client_id="gateway")
    provider = Provider("main", settings, Timeouts(), Limits())
    yield Api(issuer, provider)
    await provider.aclose()


@pytest.mark.parametrize("opaque", [False, True], ids=["jwt", "opaque"])
async def test_a_users_token_says_who_it_is(issuer, api, opaque):
    token = issuer.access_token(API, "orders:read", user="alice", opaque=opaque)
    assert is_jwt(token) is not opaque
    verified = await api.verify(token)
    assert (verified.subject, verified.scopes) == ("alice", {"orders:read"})
    assert verified.client_id == ("machine-opaque" if opaque else "machine")
    assert verified.claims.values["email"] and verified.expires_at > time()


@pytest.mark.parametrize("opaque", [False, True], ids=["jwt", "opaque"])
async def test_a_machines_token_has_its_scopes(issuer, api, opaque):
    token = issuer.access_token(API, "orders:read orders:write", opaque=opaque)
    verified = await api.verify(token)
    assert verified.scopes == {"orders:read", "orders:write"}
    assert verified.subject == ("" if opaque else "machine")


@pytest.mark.parametrize("opaque", [False, True], ids=["jwt", "opaque"])
async def test_a_token_for_another_api_is_refused(issuer, api, opaque):
    assert await api.refused(issuer.access_token(OTHER, user="alice", opaque=opaque)) == "audience"


async def test_a_revoked_token_is_refused_after_a_minute(issuer, api):
    token = issuer.access_token(API, user="alice", opaque=True)
    await api.verify(token)
    issuer.revoke(token)
    api.passed += COUNTS - 1
    assert (await api.verify(token)).subject == "alice"
    api.passed += 1
    assert await api.refused(token) == "inactive"


async def test_what_the_provider_never_issued_is_not_active(api):
    assert await api.refused("made-up") == "inactive"


async def test_a_client_with_another_secret_is_the_settings_fault(issuer, api):
    token = issuer.access_token(API, opaque=True)
    with pytest.raises(ClientRefused):
        await api.verify(token, introspection=replace(ASKS, client_secret="wrong"))
