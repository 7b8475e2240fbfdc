"""The duration and the outcome of one call to a provider, for the metrics."""

import time
from contextlib import AbstractContextManager

from opentelemetry.trace import Span

from extproc.core.provider_errors import InvalidAnswer, ProviderTimeout, ProviderUnreachable
from extproc.metrics import Metrics


class Call(AbstractContextManager["Call"]):
    """Measures the call that is made within it.

    Args:
        metrics: Where the call is counted.
        provider: The provider's name.
        endpoint: The endpoint's name, such as token or jwks.
        span: The call's span, for the exemplar.
    """

    def __init__(self, metrics: Metrics, provider: str, endpoint: str, span: Span) -> None:
        self._metrics = metrics
        self._provider = provider
        self._endpoint = endpoint
        self._span = span
        self._outcome = "cancelled"

    def answered(self, status: int) -> None:
        """Record the status of the response."""
        self._outcome = _outcome(status)

    def __enter__(self) -> "Call":
        self._started = time.perf_counter()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        match error:
            case ProviderTimeout():
                self._outcome = "timeout"
            case ProviderUnreachable():
                self._outcome = "unreachable"
            case InvalidAnswer():
                self._outcome = "invalid"
            case Exception():
                self._outcome = "failed"
        seconds = time.perf_counter() - self._started
        self._metrics.called(self._provider, self._endpoint, self._outcome, seconds, self._span)


def _outcome(status: int) -> str:
    if status in (200, 204):
        return "success"
    return "refused" if 400 <= status < 500 and status != 429 else "failed"
