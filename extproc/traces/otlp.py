"""The receiving side of OTLP over HTTP: an export request in protobuf into spans.

https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
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

OVERHEAD = 700  # bytes in memory of a span besides its message, approximately
LINK = 100  # bytes in memory of the id of a linked trace, approximately
# spans of one export; with the lists of resources and scopes around them
SPANS = 5_000
# attributes that may contain a query
QUERIES = ("http.url", "url.full", "http.target", "url.path", "http.path")


class BadExport(ValueError):
    """The body is not a valid OTLP export request, or is too large when unpacked."""


def unpack(body: bytes, content_encoding: str, limit: int) -> bytes:
    """Decode the content coding of a body.

    Args:
        body: The body of the request.
        content_encoding: The header's value; gzip, identity or nothing.
        limit: Maximum size in bytes after unpacking; it stops a small body that unpacks to
            gigabytes.

    Raises:
        BadExport: The coding is unknown, the body is not valid gzip, or it is too large.
    """
    coding = content_encoding.strip().lower()
    if coding in ("", "identity"):
        unpacked = body
    elif coding == "gzip":
        inflate = zlib.decompressobj(wbits=31)
        try:
            unpacked = inflate.decompress(body, limit + 1)
        except zlib.error:
            raise BadExport("the body is not gzip") from None
        if len(unpacked) <= limit and not inflate.eof:
            raise BadExport("the gzip body is cut off")
    else:
        raise BadExport("the content encoding is neither gzip nor identity")
    if len(unpacked) > limit:
        raise BadExport("the body is too large when unpacked")
    return unpacked


def decode(body: bytes) -> tuple[LazySpan, ...]:
    """The spans of an ExportTraceServiceRequest in protobuf; spans without valid ids are left out.

    Raises BadExport when the body is not such a request, or has more than SPANS spans.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise BadExport("the body is not an ExportTraceServiceRequest") from None
    if _has_too_many_spans(request):
        raise BadExport(f"an export has more than {SPANS} spans")
    spans: list[LazySpan] = []
    for resource in request.resource_spans:
        service = dict(_pairs(resource.resource.attributes)).get("service.name", "")
        spans += [
            _lazy_span(span, service)
            for scope in resource.scope_spans
            for span in scope.spans
            if len(span.trace_id) == 16 and len(span.span_id) == 8
        ]
    return tuple(spans)


def _has_too_many_spans(request: ExportTraceServiceRequest) -> bool:
    """Whether a request has more than SPANS spans, counted with the lists around them: of empty
    messages, two bytes each, a small body holds half a million.
    """
    room = SPANS - len(request.resource_spans)
    if room < 0:
        return True
    for resource in request.resource_spans:
        room -= len(resource.scope_spans)
        if room < 0:
            return True
        room -= sum(len(scope.spans) for scope in resource.scope_spans)
        if room < 0:
            return True
    return False


def _lazy_span(span: trace_pb2.Span, service: str) -> LazySpan:
    attributes = {
        pair.key: _text(pair.value)
        for pair in islice(span.attributes, ATTRIBUTES)
        if pair.key in PROBLEM_ATTRIBUTES
    }
    # bytes of its own, because a message would keep the whole export in memory
    message = span.SerializeToString()
    links = tuple(link.trace_id.hex()[:32] for link in islice(span.links, EVENTS))
    return LazySpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        duration_ns=max(span.end_time_unix_nano - span.start_time_unix_nano, 0),
        is_problem=shows_problem(span.name, _status(span), attributes),
        links=links,
        size=OVERHEAD + len(message) + len(service) + LINK * len(links),
        load=partial(_load, message, service),
    )


def _load(message: bytes, service: str) -> Span:
    return _span(trace_pb2.Span.FromString(message), service)


def _status(span: trace_pb2.Span) -> Status:
    return STATUSES[span.status.code] if 0 <= span.status.code < len(STATUSES) else "unset"


def _span(span: trace_pb2.Span, service: str) -> Span:
    has_parent = len(span.parent_span_id) == 8 and any(span.parent_span_id)
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() if has_parent else "",
        name=span.name[:TEXT],
        kind=KINDS[span.kind] if 0 <= span.kind < len(KINDS) else "internal",
        service=service,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=_status(span),
        status_text=span.status.message[:TEXT],
        attributes=_pairs(span.attributes),
        events=tuple(
            Event(event.name[:TEXT], event.time_unix_nano, _pairs(event.attributes))
            for event in span.events[:EVENTS]
        ),
        links=tuple(Link(link.trace_id.hex(), link.span_id.hex()) for link in span.links[:EVENTS]),
    )


def _pairs(attributes: Iterable[KeyValue]) -> Attributes:
    return tuple(
        (pair.key[:TEXT], _without_query(pair.key, _text(pair.value))[:TEXT])
        for pair in islice(attributes, ATTRIBUTES)
    )


def _without_query(key: str, value: str) -> str:
    """The value of an attribute without a query, because a proxy writes the whole URL of a callback
    into its span, including the authorization code.
    """
    if key == "url.query":
        return "…" if value else ""
    if key in QUERIES and "?" in value:
        return value.partition("?")[0] + "?…"
    return value


def _text(value: AnyValue) -> str:
    """An OTLP value as text. Values that are nested deeper than a list of plain values appear as
    {…}, or not at all.
    """
    text = ""
    match value.WhichOneof("value"):
        case "string_value":
            text = value.string_value
        case "bool_value":
            text = "true" if value.bool_value else "false"
        case "int_value":
            text = str(value.int_value)
        case "double_value":
            text = str(value.double_value)
        case "bytes_value":
            text = value.bytes_value.hex()
        case "array_value":
            items = value.array_value.values
            plain = [item for item in items if item.WhichOneof("value") != "array_value"]
            text = ", ".join(map(_text, plain))
        case "kvlist_value":
            text = "{…}"
        case "string_value_strindex":
            # An index into a table of strings, which traces do not have.
            text = str(value.string_value_strindex)
    return text
