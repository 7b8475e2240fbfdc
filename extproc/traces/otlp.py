"""OTLP over HTTP, the receiving side: a body of somebody else's spans into values
(opentelemetry-proto).
"""

import zlib
from collections.abc import Iterable
from functools import partial
from itertools import islice

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from extproc.traces.tree import PROBLEM_ATTRIBUTES, shows_problem
from extproc.traces.values import (
    ATTRIBUTES,
    EVENTS,
    KINDS,
    STATUSES,
    TEXT,
    Attributes,
    Event,
    LazySpan,
    Link,
    Span,
    Status,
)

OVERHEAD = 700  # bytes of a span besides its message, roughly
# attributes that may hold a query
QUERIES = ("http.url", "url.full", "http.target", "url.path", "http.path")


class BadExport(ValueError):
    """An OTLP request that is none, or is larger than we unpack."""


def unpack(body: bytes, content_encoding: str, limit: int) -> bytes:
    """The body without its content coding. The limit stops a small body that unpacks to
    gigabytes.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        unpacked = body
    elif coding == "gzip":
        inflate = zlib.decompressobj(wbits=31)
        try:
            unpacked = inflate.decompress(body, limit + 1)
        except zlib.error:
            raise BadExport("the body is no gzip") from None
        if len(unpacked) <= limit and not inflate.eof:
            raise BadExport("the gzip body is cut off")
    else:
        raise BadExport("the content encoding is neither gzip nor identity")
    if len(unpacked) > limit:
        raise BadExport("the body unpacks to more than is taken")
    return unpacked


def decode(body: bytes) -> tuple[LazySpan, ...]:
    """The spans of an ExportTraceServiceRequest; those without valid ids are left out. Raises
    BadExport.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise BadExport("the body is no ExportTraceServiceRequest") from None
    return tuple(
        _unread(span, service)
        for resource in request.resource_spans
        for service in [dict(_pairs(resource.resource.attributes)).get("service.name", "")]
        for scope in resource.scope_spans
        for span in scope.spans
        if len(span.trace_id) == 16 and len(span.span_id) == 8
    )


def _unread(span: trace_pb2.Span, service: str) -> LazySpan:
    """Kept as bytes of its own: a message would keep the whole export alive."""
    said = {
        pair.key: _any(pair.value)
        for pair in islice(span.attributes, ATTRIBUTES)
        if pair.key in PROBLEM_ATTRIBUTES
    }
    kept = span.SerializeToString()
    return LazySpan(
        span.trace_id.hex(),
        span.span_id.hex(),
        max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
        shows_problem(span.name, _status(span), said),
        tuple(link.trace_id.hex() for link in islice(span.links, EVENTS)),
        OVERHEAD + len(kept),
        partial(_read, kept, service),
    )


def _read(kept: bytes, service: str) -> Span:
    return _of_otlp(trace_pb2.Span.FromString(kept), service)


def _status(span: trace_pb2.Span) -> Status:
    return STATUSES[span.status.code] if 0 <= span.status.code < len(STATUSES) else "unset"


def _of_otlp(span: trace_pb2.Span, service: str) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex()
        if len(span.parent_span_id) == 8 and any(span.parent_span_id)
        else "",
        name=span.name[:TEXT],
        kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "internal",
        service=service,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=_status(span),
        status_text=span.status.message[:TEXT],
        attributes=_pairs(span.attributes),
        events=tuple(
            Event(e.name[:TEXT], e.time_unix_nano, _pairs(e.attributes))
            for e in span.events[:EVENTS]
        ),
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex()) for link in span.links[:EVENTS]),
    )


def _pairs(attributes: Iterable[KeyValue]) -> Attributes:
    return tuple(
        (pair.key[:TEXT], _clean(pair.key, _any(pair.value))[:TEXT])
        for pair in islice(attributes, ATTRIBUTES)
    )


def _clean(key: str, value: str) -> str:
    """Without queries: a proxy writes the whole url of a callback into its span, the code
    included.
    """
    if key == "url.query":
        return "…" if value else ""
    if key in QUERIES and "?" in value:
        return value.partition("?")[0] + "?…"
    return value


def _any(value: AnyValue) -> str:
    """An OTLP value as text; what is nested deeper than a list of plain values is named, not
    shown.
    """
    match kind := value.WhichOneof("value"):
        case None:
            return ""
        case "bool_value":
            return "true" if value.bool_value else "false"
        case "bytes_value":
            return value.bytes_value.hex()
        case "array_value":
            plain = [
                item
                for item in value.array_value.values
                if item.WhichOneof("value") != "array_value"
            ]
            return ", ".join(_any(item) for item in plain)
        case "kvlist_value":
            return "{…}"
    return str(getattr(value, kind))
