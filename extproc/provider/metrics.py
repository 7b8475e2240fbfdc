"""One call to a provider, measured: how long it took, and how it ended in one word."""

import time
from contextlib import AbstractContextManager

from opentelemetry.trace import Span

from extproc.core.errors import InvalidAnswer, ProviderTimeout, ProviderUnreachable
from extproc.metrics import Metrics


class Call(AbstractContextManager["Call"]):
    """Around the call. span: its own, for the exemplar."""

    def __init__(self, metrics: Metrics, provider: str, endpoint: str, span: Span) -> None:
        self._metrics, self._provider, self._endpoint, self._span = (
            metrics,
            provider,
            endpoint,
            span,
        )
        self._outcome = "cancelled"

    def answered(self, status: int) -> None:
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
                self._outcome = "failed"  # a bug
        seconds = time.perf_counter() - self._started
        self._metrics.called(self._provider, self._endpoint, self._outcome, seconds, self._span)


def _outcome(status: int) -> str:
    if status in (200, 204):
        return "success"
    return "refused" if 400 <= status < 500 and status != 429 else "failed"
