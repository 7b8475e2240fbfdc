"""Metrics: counted once, read by Prometheus (exposition.py) and sent as OTLP (otlp.py).

This package imports nothing else of extproc. What it counts is bounded whatever clients send:
labels are names from the settings or of this program, and any other name is `other`. In the inline
lane a request costs two increments and one observation, about a hundredth of what a 401 costs,
because children are looked up by their labels once.
"""

from collections.abc import Iterable

from opentelemetry.trace import Span, format_span_id, format_trace_id
from prometheus_client import Counter
from prometheus_client.metrics_core import Metric

from extproc.metrics import catalogue as metric
from extproc.metrics.process import ProcessMetrics, Reading

__all__ = ["NO_STEP", "OTHER", "Metric", "Metrics", "ProcessMetrics", "Reading"]

OTHER = "other"
# the step of a request that was answered inline
NO_STEP = "none"
# the others are core.decisions.StepKind, which this package does not import; a test compares them
STEPS = (
    NO_STEP,
    *("callback", "login", "lookup", "refresh", "logout", "provider_logout"),
    *("bearer", "body", "live"),
)
# what a request is never answered under: it has its answer already, or its body is not there yet
_UNANSWERED_STEPS = ("body", "live")
OUTCOMES = ("answered", "cancelled", "aborted", "unanswered")


class Metrics(ProcessMetrics):
    """The metrics of a process that decides.

    Args:
        applications: The names in the settings; a request of any other counts as `other`.
        reasons: The codes of core/reasons; any other counts as `other`.
    """

    def __init__(self, applications: Iterable[str] = (), reasons: Iterable[str] = ()) -> None:
        super().__init__()
        self._applications = frozenset(applications)
        self._reasons = frozenset(reasons)
        self._requests = self.counter(metric.REQUESTS)
        self._by_request: dict[tuple[str, str, str], Counter] = {}
        self._would_refuse = self.counter(metric.WOULD_REFUSE)
        decisions = self._histogram(metric.DECISIONS)
        # A live request is counted under the step by which it was answered, and one with a body
        # under the step to which the body led.
        self._by_step = {
            step: decisions.labels(step) for step in STEPS if step not in _UNANSWERED_STEPS
        }
        streams = self.counter(metric.STREAMS)
        self._streams = {outcome: streams.labels(outcome) for outcome in OUTCOMES}
        self._called = self.counter(metric.CALLED)
        self._call_seconds = self._histogram(metric.CALL_SECONDS)
        self._refreshes = self.counter(metric.REFRESHES)
        self._store_seconds = self._histogram(metric.STORE_SECONDS)
        self._store_errors = self.counter(metric.STORE_ERRORS)
        self._lag = self._histogram(metric.LAG)

    def answered(
        self, step: str, application: str, reason: str, seconds: float, span: Span
    ) -> None:
        """Count a request that has its answer.

        Args:
            step: What it was held for; one of STEPS.
            application: The name that the route gives.
            reason: The code of the answer.
            seconds: Since its stream began.
            span: The stream's span, for the exemplar.
        """
        child = self._by_request.get((step, application, reason))
        if child is None:
            child = self._request(step, application, reason)
        child.inc()
        self._by_step[step].observe(seconds, _exemplar(span))

    def _request(self, step: str, application: str, reason: str) -> Counter:
        """The child of a request. A name that a client made up is not kept, and comes here again
        each time.
        """
        application = application if application in self._applications else OTHER
        reason = reason if reason in self._reasons else OTHER
        return self._by_request.setdefault(
            (step, application, reason), self._requests.labels(step, application, reason)
        )

    def would_refuse(self, application: str, rule: str) -> None:
        """Count a request that passed, and that a rule in shadow mode would have refused; both
        names are of the settings.
        """
        self._would_refuse.labels(application, rule).inc()

    def ended(self, outcome: str) -> None:
        """Count a stream that has ended, by one of OUTCOMES."""
        self._streams[outcome].inc()

    def called(
        self, provider: str, endpoint: str, outcome: str, seconds: float, span: Span
    ) -> None:
        """Count a call to a provider that has ended; provider/metrics.py has the outcomes.

        Args:
            provider: Its name in the settings.
            endpoint: What was called.
            outcome: How the call ended.
            seconds: How long it took.
            span: The call's span, for the exemplar.
        """
        self._called.labels(provider, endpoint, outcome).inc()
        self._call_seconds.labels(provider, endpoint).observe(seconds, _exemplar(span))

    def refreshed(self, provider: str, outcome: str) -> None:
        """Count a session whose tokens were due: `renewed`, `failed` or `ended`."""
        self._refreshes.labels(provider, outcome).inc()

    def stored(self, store: str, operation: str, seconds: float, *, failed: bool) -> None:
        """Count an operation of a session store that is over.

        Args:
            store: The kind of the store.
            operation: The method of SessionStore.
            seconds: How long it took.
            failed: True when the store was unavailable.
        """
        self._store_seconds.labels(store, operation).observe(seconds)
        self._store_errors.labels(store, operation).inc(failed)

    def lagged(self, loop: str, seconds: float) -> None:
        """Observe how much too late a timer of `asyncio` or `trio` fired."""
        self._lag.labels(loop).observe(max(0.0, seconds))


def _exemplar(span: Span) -> dict[str, str] | None:
    """The trace of what was measured, if it is recorded."""
    if not span.is_recording():
        return None
    context = span.get_span_context()
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }
