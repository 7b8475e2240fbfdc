"""Our wire subset is Envoy's protocol: the same bytes as envoy-data-plane writes and reads, in both
directions.
"""

import warnings
from dataclasses import replace

import pytest
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderMap,
    HeaderValue,
    HeaderValueOption,
    Metadata,
)
from envoy_data_plane.envoy.service.ext_proc.v3 import (
    HttpHeaders,
    ProcessingRequest,
    ProcessingResponse,
    ProtocolConfiguration,
)
from envoy_data_plane.google.protobuf import Struct
from harness.tokens import application, request

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import APPLICATION, COOKIES, MORE_COOKIES, NAMESPACE, PUBLIC, SET_COOKIE
from extproc.core.decisions import Continue, Respond
from extproc.core.http import READ_HEADERS, Cookie
from extproc.core.page import Card, Page
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
    assert head.request.headers == (("cookie", "b=2"),)  # only what we read of it is kept


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


@pytest.mark.attack("EXTP-13")
def test_every_set_cookie_is_appended():
    cookies = tuple(Cookie(f"c{n}", "v", True) for n in range(8))
    read = theirs_of(
        Respond(303, "login_started", location="https://idp.example/auth", cookies=cookies)
    ).immediate_response
    assert int(read.status.code) == 303 and read.details == "login_started"
    sent = [(option.header.key, option.append) for option in read.headers.set_headers]
    assert [append for key, append in sent if key == "set-cookie"] == [True] * 8
    assert all(append is None for key, append in sent if key != "set-cookie")
    assert all(
        isinstance(option, HeaderValueOption) and option.header.raw_value
        for option in read.headers.set_headers
    )


def test_the_override_is_what_envoy_reads():
    read = ProcessingResponse.parse(codec.override_message_timeout(15.5).SerializeToString())
    assert read.override_message_timeout.total_seconds() == 15.5 and read.request_headers is None


@pytest.mark.attack("WEB-03")
@pytest.mark.threat("own-words")
def test_every_answer_of_ours_is_no_store_and_carries_the_trace():
    page = Page("Title", 'A <b> "text"', "https://app.example/?a=1&b='", "Go")
    for answer in (
        Respond(400, "x", page=page),
        Respond(400, "x", page=page, html=False),
        Respond(200, "userinfo", json="{}"),
        Respond(303, "x", location="/"),
    ):
        read = theirs_of(answer).immediate_response
        sent = {
            option.header.key: option.header.raw_value.decode()
            for option in read.headers.set_headers
        }
        assert (
            sent["cache-control"],
            sent["x-content-type-options"],
            sent["referrer-policy"],
            sent["x-trace-id"],
        ) == (
            "no-store",
            "nosniff",
            "no-referrer",
            TRACE,
        )
        if "html" in sent.get("content-type", ""):
            assert (
                "<b>" not in read.body.decode()
                and TRACE in read.body.decode()
                and "content-security-policy" in sent
            )


@pytest.mark.attack("WEB-11")
def test_a_page_with_a_form_says_its_own_origin_to_itself_and_no_other_page_says_anything():
    """Under no-referrer its POST would come with `Origin: null`, as anybody's may."""
    plain = Page("Title", "text", "https://app.example/", "Go")
    card = Card("Firefox", (), "/oauth2/logout", "Sign out")
    for page, html, policy in (
        (replace(plain, posts=True), True, "same-origin"),
        (replace(plain, cards=(card,)), True, "same-origin"),
        (replace(plain, posts=True), False, "no-referrer"),  # a problem document
        (plain, True, "no-referrer"),  # the callback's pages, whose address has a code, among them
        (None, True, "no-referrer"),
    ):
        read = theirs_of(Respond(200, "x", page=page, html=html)).immediate_response
        sent = {
            option.header.key: option.header.raw_value.decode()
            for option in read.headers.set_headers
        }
        assert sent["referrer-policy"] == policy
        assert policy == "no-referrer" or "<form" in read.body.decode()


@pytest.mark.attack("EXTP-15")
@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\x00", "é", "\x7f"])
def test_a_value_that_no_header_may_hold_is_never_written(value):
    with pytest.raises(ValueError, match="no header may"):
        codec.write(Continue("x", (("x-auth-sub", value),)), TRACE, "inline")


def test_everything_the_core_reads_is_forwarded():
    known = set(READ_HEADERS)

    class Recording(type(request())):
        def header(self, name):
            assert name in known, name
            return super().header(name)

    from extproc.core.decide import decide
    from extproc.core.errors import Refusal

    for target in (
        "/private",
        "/oauth2/logout",
        "/oauth2/login",
        "/oauth2/callback?state=x",
        "/oauth2/userinfo",
    ):
        for method in ("GET", "POST"):
            for headers in ((), (("sec-fetch-mode", "navigate"),), (("accept", "text/html"),)):
                try:
                    decide(
                        application(),
                        Recording("app", False, method, target, "app.example", headers),
                        None,
                        0,
                    )
                except Refusal:
                    continue
