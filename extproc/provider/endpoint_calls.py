"""EndpointCalls: calls to a provider's endpoints, each with a deadline, a span and metrics."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import trio
from opentelemetry.trace import SpanKind

from extproc import telemetry
from extproc.core.oidc.client import FormRequest
from extproc.core.provider_errors import ProviderTimeout
from extproc.metrics import Metrics
from extproc.provider.http import HttpClient, HttpResponse
from extproc.provider.metrics import Call


class EndpointCalls:
    """Calls to one provider. The endpoint's name (token, jwks, ...) is a label of the metrics.

    Args:
        provider: The provider's name.
        http: The provider's HTTP client.
        seconds: The deadline of one call, connecting included.
        metrics: Where calls are counted.
    """

    def __init__(self, provider: str, http: HttpClient, seconds: float, metrics: Metrics) -> None:
        self._provider = provider
        self._http = http
        self._seconds = seconds
        self._metrics = metrics

    async def get(self, endpoint: str, url: str, headers: Mapping[str, str]) -> HttpResponse:
        """Make a GET request. Raises what HttpClient.request raises."""
        return await self._call(endpoint, "GET", url, headers)

    async def post(self, endpoint: str, url: str, form: FormRequest) -> HttpResponse:
        """Make a POST request with a form. Raises what HttpClient.request raises."""
        headers = {"accept": "application/json"}
        if form.authorization is not None:
            headers["authorization"] = form.authorization
        return await self._call(endpoint, "POST", url, headers, form)

    async def _call(
        self,
        endpoint: str,
        method: str,
        url: str,
        headers: Mapping[str, str],
        form: FormRequest | None = None,
    ) -> HttpResponse:
        path = urlsplit(url).path
        attributes = _span_attributes(self._provider, method, url)
        with (
            telemetry.span(f"{method} {path}", SpanKind.CLIENT, attributes) as span,
            Call(self._metrics, self._provider, endpoint, span) as call,
        ):
            try:
                with trio.fail_after(self._seconds):
                    response = await self._http.request(
                        method, url, {**headers, **telemetry.traceparent()}, form
                    )
            except trio.TooSlowError:
                raise ProviderTimeout(
                    f"{method} {path}: no whole answer within {self._seconds:g} s"
                ) from None
            span.set_attribute("http.response.status_code", response.status)
            call.answered(response.status)
            if response.status >= 400:
                telemetry.failed(span, str(response.status))
            return response


def _span_attributes(provider: str, method: str, url: str) -> dict[str, telemetry.Attribute]:
    """Return the attributes of OpenTelemetry's HTTP client spans; without the URL's query, which
    may have secrets.
    """
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return {
        "http.request.method": method,
        "url.full": f"{parts.scheme}://{parts.hostname}{port}{parts.path}",
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        "extproc.provider": provider,
    }
