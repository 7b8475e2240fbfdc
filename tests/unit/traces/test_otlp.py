"""OTLP: an export request in protobuf into spans."""

import gzip
import zlib

import pytest
from harness import spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from extproc.traces import BadExport, Link, TraceStore
from extproc.traces.otlp import decode, unpack
from extproc.traces.tree import is_problem
from extproc.traces.values import TEXT


def test_what_is_exported_comes_back_as_it_was():
    store = TraceStore()
    assert store.add_otlp(spans.export(spans.callback())) == 14
    trace = store.trace(spans.TRACE)
    assert trace is not None
    assert trace.spans == tuple(sorted(spans.callback(), key=lambda s: (s.start_ns, s.span_id)))


def test_gzip_is_taken():
    store = TraceStore()
    store.add_otlp(gzip.compress(spans.export(spans.fast_path())), "GZIP")
    assert [len(trace.spans) for trace in spans.recent(store)] == [3]


@pytest.mark.parametrize(
    ("body", "encoding", "why"),
    [
        (b"\xff\xff\xff", "", "not an ExportTraceServiceRequest"),
        (b"plain", "gzip", "not gzip"),
        (gzip.compress(b"x" * 50)[:-9], "gzip", "cut off"),
        (gzip.compress(b"\0" * 2_000_000), "gzip", "too large when unpacked"),
        (b"\0" * 1001, "", "too large when unpacked"),
        (zlib.compress(b""), "deflate", "neither gzip nor identity"),
    ],
    ids=["no protobuf", "no gzip", "cut off", "a bomb", "too large", "deflate"],
)
def test_a_bad_export_is_refused_and_nothing_kept(body, encoding, why):
    store = TraceStore()
    with pytest.raises(BadExport, match=why):
        store.add_otlp(body, encoding, limit=1000)
    assert spans.recent(store) == ()


def test_a_query_in_a_proxys_url_is_not_kept():
    store = TraceStore()
    urls = (
        ("http.url", "http://localhost/oauth2/callback?code=SECRET&state=s"),
        ("url.query", "code=SECRET"),
    )
    store.add_otlp(spans.export((spans.span(1, 0, "envoy", "ingress", 0, 1, attributes=urls),)))
    [trace] = spans.recent(store)
    assert trace.spans[0].attributes == (
        ("http.url", "http://localhost/oauth2/callback?…"),
        ("url.query", "…"),
    )


ENVOYS = "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"


@pytest.mark.parametrize(
    ("more", "telling"),
    [
        ({}, False),
        ({"status": "error"}, True),
        ({"status": "error", "name": ENVOYS, "attributes": (("status", "canceled"),)}, False),
        ({"status": "error", "name": ENVOYS, "attributes": (("status", "unavailable"),)}, True),
        ({"attributes": (("http.status_code", "400"), ("extproc.reason", "state_mismatch"))}, True),
        (
            {
                "attributes": (
                    ("http.response.status_code", "502"),
                    ("extproc.reason", "provider_timeout"),
                )
            },
            True,
        ),
        (
            {"attributes": (("http.status_code", "401"), ("extproc.reason", "login_required"))},
            False,
        ),
        ({"attributes": (("http.status_code", "404"),)}, False),  # the application's own
        ({"links": (Link("a" * 32, "b" * 16), Link("c" * 32, "d" * 16))}, False),
    ],
)
def test_what_the_store_goes_by_is_known_before_a_span_is_read(more, telling):
    span = spans.span(1, 2, "a", more.pop("name", "x"), 3, 7.5, **more)
    (unread,) = decode(spans.export((span,)))
    assert (unread.span(), unread.is_problem, is_problem(span)) == (span, telling, telling)
    assert (unread.duration_ns, unread.links) == (
        4_500_000,
        tuple(link.trace_id for link in span.links),
    )


def test_long_values_are_cut():
    store = TraceStore()
    store.add_otlp(
        spans.export((spans.span(1, 0, "a", "n" * 9999, 0, 1, attributes=(("k", "v" * 9999),)),))
    )
    [trace] = spans.recent(store)
    assert (len(trace.spans[0].name), len(trace.spans[0].attributes[0][1])) == (TEXT, TEXT)


def test_the_limit_is_on_the_unpacked_size():
    body = b"x" * 1000
    assert unpack(gzip.compress(body), "gzip", 1000) == unpack(body, "identity", 1000) == body
    with pytest.raises(BadExport, match="too large"):
        unpack(gzip.compress(body), "gzip", 999)


def value(**more):
    return AnyValue(**more)


@pytest.mark.parametrize(
    ("attribute", "text"),
    [
        (value(string_value="a"), "a"),
        (value(bool_value=True), "true"),
        (value(int_value=-3), "-3"),
        (value(double_value=1.5), "1.5"),
        (value(bytes_value=b"\x00\xff"), "00ff"),
        (
            value(array_value=ArrayValue(values=[value(int_value=1), value(bool_value=False)])),
            "1, false",
        ),
        (value(array_value=ArrayValue(values=[value(array_value=ArrayValue())])), ""),
        (value(kvlist_value=KeyValueList(values=[KeyValue(key="a")])), "{…}"),
        (value(), ""),
    ],
)
def test_an_attribute_of_any_type_is_text(attribute, text):
    request = ExportTraceServiceRequest.FromString(
        spans.export((spans.span(1, 0, "a", "x", 0, 1),))
    )
    exported = request.resource_spans[0].scope_spans[0].spans[0]
    exported.attributes.append(KeyValue(key="k", value=attribute))
    (lazy,) = decode(request.SerializeToString())
    assert lazy.span().attributes == (("k", text),)


def test_a_span_without_valid_ids_is_left_out():
    request = ExportTraceServiceRequest.FromString(
        spans.export((spans.span(1, 0, "a", "x", 0, 1), spans.span(2, 0, "a", "y", 0, 1)))
    )
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b"short"
    assert [lazy.span().name for lazy in decode(request.SerializeToString())] == ["y"]
