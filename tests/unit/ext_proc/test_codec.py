"""Our wire subset is Envoy's protocol: the same bytes as envoy-data-plane writes and reads, in both
directions.
"""

import warnings

import pytest
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderMap,
    HeaderValue,
    Metadata,
)
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
    ProtocolConfiguration,
)
from envoy_data_plane.google.protobuf import Struct

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import APPLICATION, COOKIES, MORE_COOKIES, NAMESPACE, PUBLIC, SET_COOKIE
from extproc.core.cookies import Cookie
from extproc.core.decisions import Continue
from extproc.ext_proc import codec

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_what_envoy_sends_is_read_and_what_we_do_not_know_is_skipped():
    headers = [
        HeaderValue(key=":path", raw_value=b"/a?b=\xff"),
        HeaderValue(key=":method", raw_value=b"GET"),
        HeaderValue(key="authorization", raw_value=b"Bearer x"),
        HeaderValue(key="cookie", raw_value=b"a=1"),
        HeaderValue(key=COOKIES, raw_value=b"b=2"),
    ]
    theirs = ProcessingRequest(
        request_headers=HttpHeaders(headers=HeaderMap(headers=headers), end_of_stream=True),
        metadata_context=Metadata(filter_metadata={"x": Struct.from_dict({"y": 1})}),
        attributes={
            "envoy.filters.http.ext_proc": Struct.from_dict({"source.address": "127.0.0.1:1"})
        },
        protocol_config=ProtocolConfiguration(send_body_without_waiting_for_header_response=True),
    )
    # a field that no version has: what a newer Envoy may send
    ours = wire.ProcessingRequest.FromString(bytes(theirs) + b"\xfa\x3f\x03new")
    head = codec.read(ours, {APPLICATION: "app", PUBLIC: "1"})
    assert head.request.target == "/a?b=\xff" and head.request.public and head.end_of_stream
    # only what we read of it is kept
    assert head.request.headers == (("authorization", "Bearer x"), ("cookie", "b=2"))


def theirs_of(answer) -> ProcessingResponse:
    with warnings.catch_warnings():
        # `append` is deprecated, and the only thing that Envoy honours here
        warnings.simplefilter("ignore", DeprecationWarning)
        return ProcessingResponse.parse(codec.write(answer, TRACE, "inline").SerializeToString())


def test_a_continue_is_what_envoy_reads():
    cookie = Cookie("__Host-extproc-assertion-app", "a.b.c", True, 45)
    read = theirs_of(Continue("session", (("x-auth-sub", "alice"),), ("x-auth-name",), (cookie,)))
    mutation = read.request_headers.response.header_mutation
    assert [
        (o.header.key, o.header.raw_value, o.header.value, o.append) for o in mutation.set_headers
    ] == [("x-auth-sub", b"alice", "", None)]
    assert mutation.remove_headers == ["x-auth-name"]
    assert read.dynamic_metadata.to_dict()[NAMESPACE] == {
        "decision": "continue",
        "reason": "session",
        "lane": "inline",
        "set_cookie": cookie.header(),
        "cache_control": "private",
        "no_store": "no-store",
    }
    assert read.immediate_response is None and read.mode_override is None


def test_a_continue_has_as_many_cookies_as_the_route_has_places_for():
    cookies = tuple(Cookie(f"c{n}", "v", True) for n in range(1 + len(MORE_COOKIES)))
    said = theirs_of(Continue("session", (), (), cookies)).dynamic_metadata.to_dict()[NAMESPACE]
    assert [said[key] for key in (SET_COOKIE, *MORE_COOKIES)] == [
        cookie.header() for cookie in cookies
    ]
    with pytest.raises(ValueError, match="zip"):
        codec.write(Continue("session", (), (), (*cookies, cookies[0])), TRACE, "inline")


def test_the_override_is_what_envoy_reads():
    read = ProcessingResponse.parse(codec.override_message_timeout(15.5).SerializeToString())
    assert read.override_message_timeout.total_seconds() == 15.5 and read.request_headers is None
