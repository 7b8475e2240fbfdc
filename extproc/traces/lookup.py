"""Finds a trace by what a person may have other than its id."""

from collections.abc import Iterable

from extproc.traces.values import Trace

# Envoy's tag of a span with the x-request-id of the request.
_REQUEST_ID = "guid:x-request-id"


def trace_of_request(traces: Iterable[Trace], request_id: str) -> Trace | None:
    """The first trace with a span of the request that has this id (32 hexadecimal digits)."""
    for trace in traces:
        for span in trace.spans:
            if span.attribute(_REQUEST_ID).replace("-", "").lower() == request_id:
                return trace
    return None
