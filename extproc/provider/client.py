"""Provider: every call to one OpenID Provider, and its caches. Runs in trio.

Each call has a connect, a read and a total deadline. Metadata and keys are cached: used immediately
while they are fresh, refreshed in the background when they are not, and kept for a day while the
provider is away.
"""

from collections.abc import Callable, Iterable

from extproc.addresses import Address
from extproc.core.errors import InvalidMetadata, ProviderUnavailable, Refusal
from extproc.core.oidc.client import FormRequest
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.introspection import introspection_error
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import RefreshResponse, TokenResponse, tokens_in
from extproc.core.oidc.token_error import code_error, refresh_error
from extproc.core.provider_errors import (
    ClientRefused,
    CodeRefused,
    InvalidAnswer,
    InvalidTokenResponse,
    InvalidUserInfo,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnreachable,
)
from extproc.metrics import Metrics, Reading
from extproc.metrics import catalogue as metric
from extproc.provider.cache import Cache, CoolDown, Newer
from extproc.provider.endpoint_calls import EndpointCalls
from extproc.provider.http import HttpClient, client_fault
from extproc.provider.limits import MemoryBudget, TickLimiter
from extproc.provider.upkeep import Upkeep, only_refusals
from extproc.settings import Limits, ProviderSettings, Timeouts

METADATA_FRESH = 3600.0  # seconds after which the metadata is refreshed
KEYS_FRESH = 600.0  # seconds after which the key set is refreshed
COOL_DOWN = 10.0  # seconds between key set fetches that tokens of one kind cause


class Provider:
    """One provider of the settings. Every method raises Refusals and nothing else.

    Args:
        name: The provider's name in the settings.
        settings: The provider's settings.
        timeouts: Of which `connect` and `call` count here.
        limits: Of which `connects` and `response_bytes` count here.
        tick_limiter: One for all providers of the process.
        metrics: One for all providers of the process.
        memory_budget: Bytes of the responses, out of one budget of the process.
        listeners: Addresses of the processor's and Envoy's listeners, to which no endpoint leads.
    """

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        timeouts: Timeouts,
        limits: Limits,
        tick_limiter: TickLimiter | None = None,
        metrics: Metrics | None = None,
        memory_budget: MemoryBudget | None = None,
        listeners: tuple[Address, ...] = (),
    ) -> None:
        self.name = name
        self._settings = settings
        self._places = settings.places(listeners)
        self._http = HttpClient(
            name,
            settings,
            timeouts,
            limits,
            tick_limiter or TickLimiter(),
            memory_budget or MemoryBudget(),
        )
        self._calls = EndpointCalls(name, self._http, timeouts.call, metrics or Metrics())
        self._metadata = Cache(self._fetch_metadata, METADATA_FRESH, name)
        self._keys = Cache(self._fetch_keys, KEYS_FRESH, name)
        self._upkeep = Upkeep(name, self._metadata, self._keys, self._http)
        # Anybody can send a logout token or an access token, so those spend no fetch of a login or
        # refresh.
        self._for_logins = CoolDown(COOL_DOWN)
        self._for_logouts = CoolDown(COOL_DOWN)
        self._for_bearers = CoolDown(COOL_DOWN)

    # -- without a call ----------------------------------------------------------------------------

    def metadata_nowait(self) -> ProviderMetadata | None:
        """Return the metadata without waiting; None if that takes a call.

        Raises:
            ProviderUnavailable: There is none, and a failed fetch is backing off.
            InvalidMetadata: The same, and the provider's document is what is wrong.
        """
        metadata = self._metadata.get_nowait()
        if metadata is None and self._metadata.waiting:
            if isinstance(self._metadata.failed, InvalidMetadata):
                raise InvalidMetadata(self._metadata.failed.detail)
            raise ProviderUnavailable(
                f"provider {self.name}: its metadata could not be fetched a moment ago"
            )
        return metadata

    def keys_nowait(self) -> KeySet | None:
        """Return the key set without waiting; None if that takes a call."""
        return self._keys.get_nowait()

    @property
    def missing(self) -> str | None:
        """Why the provider is not ready, for the operator; None if it is."""
        return self._upkeep.missing

    def readings(self) -> Iterable[Reading]:
        """Yield the provider's gauges. Call it in trio."""
        labels = (self.name,)
        yield Reading(metric.PROVIDER_READY, self.missing is None, labels)
        yield Reading(metric.BREAKER, self._metadata.waiting, labels)
        yield Reading(metric.CALLS_IN_FLIGHT, self._http.in_flight, labels)
        yield Reading(metric.CONNECTS_WAITING, self._http.waiting, labels)
        if self._metadata.age is not None:
            yield Reading(metric.METADATA_AGE, self._metadata.age, labels)
        if self._keys.age is not None:
            yield Reading(metric.KEYS_AGE, self._keys.age, labels)

    # -- calls -------------------------------------------------------------------------------------

    async def metadata(self) -> ProviderMetadata:
        """Return the metadata (OpenID Connect Discovery section 4), fetched if there is none.

        Raises:
            ProviderUnavailable: There is none to be had.
            InvalidMetadata: It is not usable.
        """
        try:
            with only_refusals(self.name):
                return await self._metadata.get()
        except (ProviderUnreachable, ProviderTimeout, ProviderFailed, InvalidAnswer) as error:
            raise ProviderUnavailable(f"provider {self.name}: {error.detail}") from error

    async def keys(self) -> KeySet:
        """Return the key set, fetched if there is none."""
        await self.metadata()
        with only_refusals(self.name):
            return await self._keys.get()

    async def newer_keys(self) -> KeySet:
        """Return the key set after an ID token named a key that it lacks, or had a signature that
        does not fit its key: fetched again, but at most once in COOL_DOWN seconds for all callers.
        """
        with only_refusals(self.name):
            return (await self._keys.again(self._for_logins)).value

    async def newer_keys_for_logout(self) -> Newer[KeySet]:
        """Return the key set after a logout token was signed with no key of it, as newer_keys(),
        but with a cool-down of its own.
        """
        with only_refusals(self.name):
            return await self._keys.again(self._for_logouts)

    async def newer_keys_for_bearer(self) -> Newer[KeySet]:
        """Return the key set after an access token of an API caller was signed with no key of it,
        as newer_keys(), but with a cool-down of its own.
        """
        with only_refusals(self.name):
            return await self._keys.again(self._for_bearers)

    async def token(self, request: FormRequest) -> TokenResponse:
        """Redeem a code at the token endpoint (RFC 6749 section 3.2). Never repeated, because a
        code can be used once.
        """
        with only_refusals(self.name):
            return TokenResponse.parse(await self._grant(request, lambda _, body: code_error(body)))

    async def refresh(self, request: FormRequest) -> RefreshResponse:
        """Use a refresh token at the token endpoint (RFC 6749 section 6). Never repeated, because
        it may be usable only once.

        Raises:
            CodeRefused: The refusal is final (refresh_error), or it is 400 without a body.
        """
        with only_refusals(self.name):
            return RefreshResponse.parse(await self._grant(request, refresh_error))

    async def _grant(self, request: FormRequest, refusal: Callable[[int, bytes], Refusal]) -> bytes:
        metadata = await self.metadata()
        response = await self._calls.post("token", metadata.token_endpoint, request)
        if response.status == 401 and not response.body:
            raise ClientRefused("401 from the token endpoint")
        # glewlwyd answers so to a refresh token that is no longer valid.
        if response.status == 400 and not response.body:
            raise CodeRefused("400 from the token endpoint")
        if 400 <= response.status < 500 and response.status != 429:
            raise refusal(response.status, response.body)
        if 200 < response.status < 300:
            raise InvalidTokenResponse(
                f"the token endpoint answers {response.status}", tokens_in(response.body)
            )
        response.expect_success()
        return response.body

    async def userinfo(self, access_token: str) -> UserInfo | None:
        """Call UserInfo (OpenID Connect Core section 5.3); None if the provider has none."""
        metadata = await self.metadata()
        if metadata.userinfo_endpoint is None:
            return None
        headers = {
            "authorization": f"Bearer {access_token}",
            "accept": "application/json, application/jwt",
        }
        with only_refusals(self.name):
            response = await self._calls.get("userinfo", metadata.userinfo_endpoint, headers)
            if 400 <= response.status < 500 and response.status != 429:
                raise InvalidUserInfo(f"UserInfo answers {response.status}")
            response.expect_success()
            return UserInfo(response.content_type, response.body)

    async def revoke(self, request: FormRequest) -> None:
        """Revoke a token (RFC 7009), if the provider has a revocation endpoint."""
        metadata = await self.metadata()
        if metadata.revocation_endpoint is None:
            return
        with only_refusals(self.name):
            url = metadata.revocation_endpoint
            response = await self._calls.post("revocation", url, request)
            response.expect_success()

    async def introspect(self, request: FormRequest) -> bytes:
        """Ask about a token (RFC 7662 section 2), and return the body of the response, as JSON that
        is not read yet.

        Raises:
            InvalidMetadata: The provider has no introspection endpoint.
            ClientRefused: It refuses the client.
            InvalidAccessToken: It refuses the token.
        """
        metadata = await self.metadata()
        if metadata.introspection_endpoint is None:
            raise InvalidMetadata("the discovery document has no introspection_endpoint")
        with only_refusals(self.name):
            response = await self._calls.post(
                "introspection", metadata.introspection_endpoint, request
            )
            if response.status in (401, 403):
                raise ClientRefused(f"{response.status} from the introspection endpoint")
            if response.status == 400:
                raise introspection_error(response.body)
            response.expect_success()
            content_type = response.content_type.partition(";")[0].strip().lower()
            if response.status != 200 or content_type != "application/json":
                raise InvalidAnswer("the introspection response is no application/json")
            return response.body

    # -- in the background -------------------------------------------------------------------------

    async def keep_warm(self) -> None:
        """Fetch what is missing, with back-off, and refresh what is due, so that no login waits for
        it. Runs until it is cancelled.
        """
        await self._upkeep.run()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # -- what the caches fetch ---------------------------------------------------------------------

    async def _fetch_metadata(self) -> ProviderMetadata:
        url = self._settings.discovery_url
        response = await self._calls.get("metadata", url, {"accept": "application/json"})
        response.expect_success()
        return ProviderMetadata.parse(
            response.body,
            self._settings.issuer,
            self._settings.backchannel_url,
            client_fault,
            self._places,
        )

    async def _fetch_keys(self) -> KeySet:
        metadata = await self.metadata()
        headers = {"accept": "application/jwk-set+json, application/json"}
        response = await self._calls.get("jwks", metadata.jwks_uri, headers)
        response.expect_success()
        return KeySet.parse(response.body)
