"""Metrics: counted once, read by Prometheus (exposition.py) and sent as OTLP (otlp.py). Imports
nothing of ours.

What is counted is bounded whatever clients send: labels are names of the settings or words of this
program; whatever else comes is `other`. In the inline lane a request costs two increments and one
observation, about a hundredth of what a 401 does: children are looked up by their labels once.
"""

from collections.abc import Iterable

from opentelemetry.trace import Span, format_span_id, format_trace_id
from prometheus_client import Counter
from prometheus_client.metrics_core import Metric

from extproc.metrics import catalogue as metric
from extproc.metrics.process import ProcessMetrics, Reading

__all__ = ["NO_STEP", "OTHER", "Metric", "Metrics", "ProcessMetrics", "Reading"]

OTHER = "other"
NO_STEP = "none"  # answered inline
STEPS = (NO_STEP, "callback", "login", "lookup", "refresh", "logout", "provider_logout", "live")
OUTCOMES = ("answered", "cancelled", "aborted", "unanswered")


class Metrics(ProcessMetrics):
    """Those of a process that decides. A request's labels beyond `applications` and `reasons` are
    `other`.
    """

    def __init__(self, applications: Iterable[str] = (), reasons: Iterable[str] = ()) -> None:
        super().__init__()
        self._applications, self._reasons = frozenset(applications), frozenset(reasons)
        self._requests, decisions = self.counter(metric.REQUESTS), self._histogram(metric.DECISIONS)
        self._by_request: dict[tuple[str, str, str], Counter] = {}
        self._by_step = {step: decisions.labels(step) for step in STEPS}
        streams = self.counter(metric.STREAMS)
        self._streams = {outcome: streams.labels(outcome) for outcome in OUTCOMES}
        self._called, self._call_seconds = (
            self.counter(metric.CALLED),
            self._histogram(metric.CALL_SECONDS),
        )
        self._refreshes = self.counter(metric.REFRESHES)
        self._store_seconds, self._store_errors = (
            self._histogram(metric.STORE_SECONDS),
            self.counter(metric.STORE_ERRORS),
        )
        self._lag = self._histogram(metric.LAG)

    def answered(
        self, step: str, application: str, reason: str, seconds: float, span: Span
    ) -> None:
        """A request has its answer. step: one of STEPS; seconds: since its stream began."""
        child = self._by_request.get((step, application, reason))
        (child or self._request(step, application, reason)).inc()
        self._by_step[step].observe(seconds, _exemplar(span))

    def _request(self, step: str, application: str, reason: str) -> Counter:
        """Only what is known is kept: a name that a client made up comes here each time."""
        application = application if application in self._applications else OTHER
        reason = reason if reason in self._reasons else OTHER
        return self._by_request.setdefault(
            (step, application, reason), self._requests.labels(step, application, reason)
        )

    def ended(self, outcome: str) -> None:
        """A stream has ended; outcome: one of OUTCOMES."""
        self._streams[outcome].inc()

    def called(
        self, provider: str, endpoint: str, outcome: str, seconds: float, span: Span
    ) -> None:
        """A call to a provider is over; all three names are the settings' or the program's own
        (provider/metrics.py).
        """
        self._called.labels(provider, endpoint, outcome).inc()
        self._call_seconds.labels(provider, endpoint).observe(seconds, _exemplar(span))

    def refreshed(self, provider: str, outcome: str) -> None:
        """The tokens of a session were due; outcome: renewed, failed, ended."""
        self._refreshes.labels(provider, outcome).inc()

    def stored(self, store: str, operation: str, seconds: float, *, failed: bool) -> None:
        """An operation of a session store is over; both names are the program's own."""
        self._store_seconds.labels(store, operation).observe(seconds)
        self._store_errors.labels(store, operation).inc(failed)

    def lagged(self, loop: str, seconds: float) -> None:
        """A timer of asyncio's or trio's came so late."""
        self._lag.labels(loop).observe(max(0.0, seconds))


def _exemplar(span: Span) -> dict[str, str] | None:
    """The trace of what was measured, when somebody keeps it."""
    if not span.is_recording():
        return None
    of = span.get_span_context()
    return {"trace_id": format_trace_id(of.trace_id), "span_id": format_span_id(of.span_id)}
