"""Attributes of a stream's span for its request and answer (OpenTelemetry's HTTP conventions)."""

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
    """Record the answer on the stream's span.

    If the trace is not sampled, a refusal still gets one span, for the trace page only. A 401 does
    not: it is what any client without a session gets.

    Args:
        answer: The answer that is about to be written.
        request: The request that it answers.
        span: The stream's span.
        started_ns: When the request was read, in nanoseconds since the epoch.
    """
    status = answer.status if isinstance(answer, Respond) else 0
    if not span.is_recording():
        if status >= 400 and status != 401:
            telemetry.keep_failure(
                PROCESS, started_ns, answer.reason, _attributes(request, answer, status)
            )
        return
    span.set_attributes(_attributes(request, answer, status))
    if status >= 500:
        telemetry.failed(span, answer.reason)


def _attributes(request: Request, answer: Answer, status: int) -> dict[str, telemetry.Attribute]:
    """The attributes, bounded: the path is cut and has no query, and unknown methods are
    `_OTHER`. `extproc.detail` is the detail of the log.
    """
    attributes: dict[str, telemetry.Attribute] = {
        "http.request.method": request.method if request.method in METHODS else "_OTHER",
        "url.path": request.path[:500],
        "server.address": request.authority.rpartition("@")[2][:255],
        "extproc.application": request.application[:80],
        "extproc.reason": answer.reason,
    }
    if status:
        attributes["http.response.status_code"] = status
    if isinstance(answer, Respond) and answer.detail:
        attributes["extproc.detail"] = answer.detail[:500]
    return attributes
