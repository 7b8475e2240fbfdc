"""Provider: every call to one OpenID Provider, and its caches. Runs in trio.

Each call has a connect, a read and a total deadline. Metadata and keys are cached: used at once
while they are young, refreshed in the background when they are not, kept for a day while the
provider is away.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import trio
from opentelemetry.trace import SpanKind

from extproc import background, telemetry
from extproc.core.errors import (
    ClientRefused,
    CodeRefused,
    InvalidAnswer,
    InvalidUserInfo,
    ProviderFailed,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
    Refusal,
)
from extproc.core.oidc.client import FormRequest
from extproc.core.oidc.id_token import UserInfo
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import RefreshResponse, TokenResponse, token_error
from extproc.metrics import Metrics, Reading
from extproc.metrics import catalogue as metric
from extproc.provider.cache import Cache
from extproc.provider.http import HttpClient, HttpResponse, client_fault
from extproc.provider.limits import MemoryBudget, TickLimiter
from extproc.provider.metrics import Call
from extproc.settings import Limits, ProviderSettings, Timeouts

METADATA_FRESH, KEYS_FRESH = 3600.0, 600.0
# seconds between two looks at what is due; while something is missing
LOOK_EVERY, LOOK_AGAIN = 5.0, 0.5
COOL_DOWN = 10.0  # seconds between key set fetches that an unknown kid asks for


class Provider:
    """One provider of the settings. Every method raises Refusal and nothing else."""

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        timeouts: Timeouts,
        limits: Limits,
        tick_limiter: TickLimiter | None = None,
        metrics: Metrics | None = None,
        memory_budget: MemoryBudget | None = None,
    ) -> None:
        """turnstile, metrics, bodies: one for all providers of a process."""
        self.name = name
        self._settings = settings
        self._timeouts = timeouts
        self._metrics = metrics or Metrics()
        self._http = HttpClient(
            name,
            settings,
            timeouts,
            limits,
            tick_limiter or TickLimiter(),
            memory_budget or MemoryBudget(),
        )
        self._metadata = Cache(self._fetch_metadata, METADATA_FRESH, name)
        self._keys = Cache(self._fetch_keys, KEYS_FRESH, name)

    # -- what is known without a call --------------------------------------------------------------

    def metadata_nowait(self) -> ProviderMetadata | None:
        """Metadata without waiting: None when a call is needed. Raises ProviderUnavailable while a
        failed fetch is backing off.
        """
        metadata = self._metadata.get_nowait()
        if metadata is None and self._metadata.waiting:
            raise ProviderUnavailable(
                f"provider {self.name}: its metadata could not be fetched a moment ago"
            )
        return metadata

    @property
    def missing(self) -> str | None:
        """What is not ready, or None."""
        if self._metadata.get_nowait() is None:
            return "its metadata was not fetched yet"
        return "its key set was not fetched yet" if self._keys.get_nowait() is None else None

    def readings(self) -> Iterable[Reading]:
        """Its gauges. In trio."""
        of = (self.name,)
        yield Reading(metric.PROVIDER_READY, self.missing is None, of)
        yield Reading(metric.BREAKER, self._metadata.waiting, of)
        yield Reading(metric.CALLS_IN_FLIGHT, self._http.in_flight, of)
        yield Reading(metric.CONNECTS_WAITING, self._http.waiting, of)
        for gauge, cached in (
            (metric.METADATA_AGE, self._metadata.age),
            (metric.KEYS_AGE, self._keys.age),
        ):
            if cached is not None:
                yield Reading(gauge, cached, of)

    # -- calls -------------------------------------------------------------------------------------

    async def metadata(self) -> ProviderMetadata:
        """Raises ProviderUnavailable when there is none to be had, InvalidMetadata when it is not
        right.
        """
        try:
            with self._refusals():
                return await self._metadata.get()
        except (ProviderUnreachable, ProviderTimeout, ProviderFailed, InvalidAnswer) as error:
            raise ProviderUnavailable(f"provider {self.name}: {error.detail}") from error

    async def keys(self) -> KeySet:
        await self.metadata()
        with self._refusals():
            return await self._keys.get()

    async def newer_keys(self) -> KeySet:
        """The key set again, because a token names a key that it lacks: one fetch per cool-down,
        shared by all who ask.
        """
        with self._refusals():
            return await self._keys.again(COOL_DOWN)

    async def token(self, request: FormRequest) -> TokenResponse:
        """The token endpoint (RFC 6749 section 3.2). Never repeated: a code is used once."""
        with self._refusals():
            return TokenResponse.parse(await self._grant(request))

    async def refresh(self, request: FormRequest) -> RefreshResponse:
        """The same for a refresh grant. Never repeated: a refresh token may be used once as well.

        Raises CodeRefused for invalid_grant, and for 400 without a word.
        """
        with self._refusals():
            return RefreshResponse.parse(await self._grant(request))

    async def _grant(self, request: FormRequest) -> bytes:
        metadata = await self.metadata()
        answer = await self._post("token", metadata.token_endpoint, request)
        if answer.status == 401 and not answer.body:
            raise ClientRefused("401 from the token endpoint")
        # all that glewlwyd says of a refresh token that is over
        if answer.status == 400 and not answer.body:
            raise CodeRefused("400 from the token endpoint")
        if 400 <= answer.status < 500 and answer.status != 429:
            raise token_error(answer.body)
        answer.expect_success()
        return answer.body

    async def userinfo(self, access_token: str) -> UserInfo | None:
        """UserInfo (OpenID Connect Core section 5.3); None where the provider has none."""
        metadata = await self.metadata()
        if metadata.userinfo_endpoint is None:
            return None
        headers = {
            "authorization": f"Bearer {access_token}",
            "accept": "application/json, application/jwt",
        }
        with self._refusals():
            answer = await self._call("userinfo", "GET", metadata.userinfo_endpoint, headers)
            if 400 <= answer.status < 500 and answer.status != 429:
                raise InvalidUserInfo(f"UserInfo answers {answer.status}")
            answer.expect_success()
            return UserInfo(answer.content_type, answer.body)

    async def revoke(self, request: FormRequest) -> None:
        """RFC 7009; nothing where the provider has no such endpoint."""
        metadata = await self.metadata()
        if metadata.revocation_endpoint is not None:
            with self._refusals():
                (
                    await self._post("revocation", metadata.revocation_endpoint, request)
                ).expect_success()

    async def keep_warm(self) -> None:
        """For ever: fetches what is missing with back-off, and refreshes what is due, so that no
        login waits for it.
        """
        while True:
            for cache in (self._metadata, self._keys):
                if cache is self._keys and self._metadata.get_nowait() is None:
                    # the keys' address is in the metadata: failing for want of it is no failure of
                    # the keys
                    break
                if cache.due and not cache.waiting:
                    try:
                        with self._refusals():
                            await cache.refresh()
                    except Refusal as error:
                        telemetry.log(
                            logging.WARNING,
                            "provider_not_ready",
                            provider=self.name,
                            reason=error.reason,
                            detail=error.detail,
                        )
                        break
            await self._http.close_idle()
            await trio.sleep(LOOK_AGAIN if self.missing else LOOK_EVERY)

    async def aclose(self) -> None:
        await self._http.aclose()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Whatever a call raises is this provider's refusal: what is no Refusal is a bug, ours or a
        library's, and no other's trouble.
        """
        try:
            yield
        except Refusal:
            raise
        except Exception as error:
            background.bug("provider_call_failed", error, provider=self.name)
            raise InvalidAnswer(
                f"provider {self.name}: the call met {type(error).__qualname__}"
            ) from error

    # -- each call ---------------------------------------------------------------------------------

    async def _fetch_metadata(self) -> ProviderMetadata:
        base = self._settings.backchannel_url or self._settings.issuer
        answer = await self._call(
            "metadata",
            "GET",
            base.rstrip("/") + "/.well-known/openid-configuration",
            {"accept": "application/json"},
        )
        answer.expect_success()
        return ProviderMetadata.parse(
            answer.body, self._settings.issuer, self._settings.backchannel_url, client_fault
        )

    async def _fetch_keys(self) -> KeySet:
        metadata = await self.metadata()
        headers = {"accept": "application/jwk-set+json, application/json"}
        answer = await self._call("jwks", "GET", metadata.jwks_uri, headers)
        answer.expect_success()
        return KeySet.parse(answer.body)

    async def _post(self, endpoint: str, url: str, request: FormRequest) -> HttpResponse:
        headers = {"accept": "application/json"}
        if request.authorization is not None:
            headers["authorization"] = request.authorization
        return await self._call(endpoint, "POST", url, headers, request)

    async def _call(
        self,
        endpoint: str,
        method: str,
        url: str,
        headers: dict[str, str],
        form: FormRequest | None = None,
    ) -> HttpResponse:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
        attributes: dict[str, telemetry.Attribute] = {
            "http.request.method": method,
            "url.full": f"{parts.scheme}://{parts.hostname}{port}{parts.path}",
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
            "extproc.provider": self.name,
        }
        with (
            telemetry.span(f"{method} {parts.path}", SpanKind.CLIENT, attributes) as span,
            Call(self._metrics, self.name, endpoint, span) as call,
        ):
            try:
                with trio.fail_after(self._timeouts.call):
                    answer = await self._http.request(
                        method, url, {**headers, **telemetry.traceparent()}, form
                    )
            except trio.TooSlowError:
                raise ProviderTimeout(
                    f"{method} {parts.path}: no whole answer within {self._timeouts.call:g} s"
                ) from None
            span.set_attribute("http.response.status_code", answer.status)
            call.answered(answer.status)
            if answer.status >= 400:
                telemetry.failed(span, str(answer.status))
            return answer
