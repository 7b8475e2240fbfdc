"""Metrics: counted once, read by Prometheus (exposition.py) and sent as OTLP (otlp.py). Imports nothing of ours.

What is counted is bounded whatever clients send: labels are names of the settings or words of this program; whatever else comes
is `other`. In the inline lane a request costs two increments and one observation, about a hundredth of what a 401 does: children
are looked up by their labels once.
"""

from collections.abc import Iterable

from opentelemetry.trace import Span, format_span_id, format_trace_id
from prometheus_client import Counter
from prometheus_client.metrics_core import Metric

from extproc.metrics import catalogue as the
from extproc.metrics.process import ProcessMetrics, Reading

__all__ = ["INLINE", "OTHER", "Metric", "Metrics", "ProcessMetrics", "Reading"]

OTHER = "other"
INLINE = "inline"
LANES = (INLINE, "callback", "login", "lookup", "refresh", "logout", "provider_logout")
OUTCOMES = ("answered", "cancelled", "aborted", "unanswered")


class Metrics(ProcessMetrics):
    """Those of a process that decides. A request's labels beyond `applications` and `reasons` are `other`."""

    def __init__(self, applications: Iterable[str] = (), reasons: Iterable[str] = ()) -> None:
        super().__init__()
        self._applications, self._reasons = frozenset(applications), frozenset(reasons)
        self._requests, decisions = self.counter(the.REQUESTS), self._histogram(the.DECISIONS)
        self._by_request: dict[tuple[str, str, str], Counter] = {}
        self._by_lane = {lane: decisions.labels(lane) for lane in LANES}
        streams = self.counter(the.STREAMS)
        self._streams = {outcome: streams.labels(outcome) for outcome in OUTCOMES}
        self._called, self._call_seconds = self.counter(the.CALLED), self._histogram(the.CALL_SECONDS)
        self._refreshes = self.counter(the.REFRESHES)
        self._store_seconds, self._store_errors = self._histogram(the.STORE_SECONDS), self.counter(the.STORE_ERRORS)
        self._lag = self._histogram(the.LAG)

    def answered(self, lane: str, application: str, reason: str, seconds: float, span: Span) -> None:
        """A request has its answer. lane: one of LANES; seconds: since its stream began."""
        child = self._by_request.get((lane, application, reason))
        (child or self._request(lane, application, reason)).inc()
        self._by_lane[lane].observe(seconds, _exemplar(span))

    def _request(self, lane: str, application: str, reason: str) -> Counter:
        """Only what is known is kept: a name that a client made up comes here each time."""
        application = application if application in self._applications else OTHER
        reason = reason if reason in self._reasons else OTHER
        return self._by_request.setdefault(
            (lane, application, reason), self._requests.labels(lane, application, reason)
        )

    def ended(self, outcome: str) -> None:
        """A stream has ended; outcome: one of OUTCOMES."""
        self._streams[outcome].inc()

    def called(self, provider: str, endpoint: str, outcome: str, seconds: float, span: Span) -> None:
        """A call to a provider is over; all three names are the settings' or the program's own (provider/metrics.py)."""
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
