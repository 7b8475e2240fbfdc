"""An immediate response as Envoy reads it: the same bytes, read by envoy-data-plane."""

import warnings
from dataclasses import replace

import pytest
from envoy_data_plane.envoy.config.core.v3 import HeaderValueOption
from envoy_data_plane.envoy.service.ext_proc.v3 import ImmediateResponse, ProcessingResponse

from extproc._wire import ext_proc_pb2 as wire
from extproc.core.cookies import Cookie
from extproc.core.decisions import Continue, Respond
from extproc.core.page import Card, Page
from extproc.ext_proc import codec
from extproc.ext_proc.immediate_response import (
    GRPC_INTERNAL,
    GRPC_PERMISSION_DENIED,
    GRPC_UNAUTHENTICATED,
    GRPC_UNAVAILABLE,
    immediate_response,
    set_header,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"


def theirs_of(answer: Respond, *, grpc: bool = False) -> ImmediateResponse:
    """The answer as Envoy reads it."""
    encoded = immediate_response(answer, TRACE, grpc=grpc).SerializeToString()
    with warnings.catch_warnings():
        # `append` is deprecated, and the only thing that Envoy honours here
        warnings.simplefilter("ignore", DeprecationWarning)
        return ProcessingResponse.parse(encoded).immediate_response


def headers_of(answer: Respond) -> dict[str, str]:
    sent = theirs_of(answer).headers.set_headers
    return {option.header.key: option.header.raw_value.decode() for option in sent}


@pytest.mark.attack("EXTP-13")
def test_every_set_cookie_is_appended():
    cookies = tuple(Cookie(f"c{n}", "v", True) for n in range(8))
    read = theirs_of(
        Respond(303, "login_started", location="https://idp.example/auth", cookies=cookies)
    )
    assert int(read.status.code) == 303 and read.details == "login_started"
    sent = [(option.header.key, option.append) for option in read.headers.set_headers]
    assert [append for key, append in sent if key == "set-cookie"] == [True] * 8
    assert all(append is None for key, append in sent if key != "set-cookie")
    assert all(
        isinstance(option, HeaderValueOption) and option.header.raw_value
        for option in read.headers.set_headers
    )


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
        read = theirs_of(answer)
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
        read = theirs_of(Respond(200, "x", page=page, html=html))
        sent = {
            option.header.key: option.header.raw_value.decode()
            for option in read.headers.set_headers
        }
        assert sent["referrer-policy"] == policy
        assert policy == "no-referrer" or "<form" in read.body.decode()


def test_only_an_answer_that_says_so_empties_the_browser_s_cache():
    assert headers_of(Respond(303, "signed_out", clear_cache=True))["clear-site-data"] == '"cache"'
    assert "clear-site-data" not in headers_of(Respond(303, "signed_out"))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, GRPC_INTERNAL),
        (401, GRPC_UNAUTHENTICATED),
        (403, GRPC_PERMISSION_DENIED),
        (429, GRPC_UNAVAILABLE),
        (503, GRPC_UNAVAILABLE),
    ],
)
def test_a_grpc_client_gets_a_grpc_status(status, code):
    assert theirs_of(Respond(status, "x"), grpc=True).grpc_status.status == code
    assert theirs_of(Respond(status, "x")).grpc_status is None


@pytest.mark.parametrize(
    ("more", "challenge"),
    [
        ({}, "OIDC"),
        ({"login_url": "https://a/b"}, 'OIDC login_url="https://a/b"'),
        ({"challenge": "max_age=1"}, "OIDC max_age=1"),
        ({"login_url": "u", "challenge": "max_age=1"}, 'OIDC login_url="u", max_age=1'),
    ],
)
def test_a_401_names_the_scheme_and_how_to_sign_in(more, challenge):
    assert headers_of(Respond(401, "x", **more))["www-authenticate"] == challenge
    assert "www-authenticate" not in headers_of(Respond(403, "x", **more))


def test_the_challenge_for_access_tokens_is_the_first_one_also_of_a_403():
    assert (
        headers_of(Respond(401, "x", bearer='scope="a"', login_url="u"))["www-authenticate"]
        == 'Bearer scope="a", OIDC login_url="u"'
    )
    for status in (400, 401, 403):
        sent = headers_of(Respond(status, "x", bearer='error="e"'))
        assert sent["www-authenticate"] == 'Bearer error="e"'


def test_the_rest_of_an_answer_has_a_header_of_its_own():
    sent = headers_of(Respond(405, "x", location="/a", retry_after=5, allow="GET"))
    assert (sent["location"], sent["retry-after"], sent["allow"]) == ("/a", "5", "GET")


@pytest.mark.attack("EXTP-15")
@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\x00", "é", "\x7f", "\x85", "\ud800"])
def test_a_value_that_no_header_may_hold_is_never_written(value):
    if value != "é":
        with pytest.raises(ValueError, match="no header may"):
            codec.write(Continue("x", (("x-auth-sub", value),)), TRACE, "inline")
    with pytest.raises(ValueError, match="no header may"):
        set_header(wire.HeaderMutation(), "x-auth-sub", value)


def test_an_identity_header_may_be_plain_utf_8():
    message = codec.write(Continue("x", (("x-auth-name", "Zoë 北京"),)), TRACE, "inline")
    (option,) = message.request_headers.response.header_mutation.set_headers
    assert option.header.raw_value == "Zoë 北京".encode()
