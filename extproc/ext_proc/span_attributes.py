"""What a stream's span says of its request and its answer (OpenTelemetry's HTTP conventions)."""

from opentelemetry.trace import Span

from extproc import telemetry
from extproc.contract import SERVICE
from extproc.core.decisions import Answer, Respond
from extproc.core.http import Request

PROCESS = f"{SERVICE}/Process"
METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"}
)


def record(answer: Answer, request: Request, span: Span, started_ns: int) -> None:
    """The answer in the stream's span; of a refusal that nobody samples, a span for the trace
    page.
    """
    status = answer.status if isinstance(answer, Respond) else 0
    if not span.is_recording():
        if status >= 400 and status != 401:
            telemetry.keep_failure(
                PROCESS, started_ns, answer.reason, _attributes(request, answer.reason, status)
            )
        return
    span.set_attributes(_attributes(request, answer.reason, status))
    if status >= 500:
        telemetry.failed(span, answer.reason)


def _attributes(request: Request, reason: str, status: int) -> dict[str, telemetry.Attribute]:
    """The path has no query; the method is one of the known."""
    said: dict[str, telemetry.Attribute] = {
        "http.request.method": request.method if request.method in METHODS else "_OTHER",
        "url.path": request.path[:500],
        "server.address": request.authority.rpartition("@")[2][:255],
        "extproc.application": request.application[:80],
        "extproc.reason": reason,
    }
    return {**said, "http.response.status_code": status} if status else said
