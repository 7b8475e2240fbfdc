"""Finds a trace by what a person may have other than its id."""

from extproc.traces.values import Trace

# Envoy's tag of a span with the x-request-id of the request.
_REQUEST_ID = "guid:x-request-id"


def is_of_request(trace: Trace, request_id: str) -> bool:
    """Whether a trace has a span of the request that has this id (32 hexadecimal digits)."""
    ids = (span.attribute(_REQUEST_ID) for span in trace.spans)
    return any(each.replace("-", "").lower() == request_id for each in ids)
