"""Requests, return targets and origins."""

from dataclasses import replace

import pytest
from harness.refusals import raised
from harness.tokens import request

from extproc.core.http import MAX_QUERY, as_envoy_reads, origin, parameters, same_origin_target


@pytest.mark.attack("REDI-08")
@pytest.mark.parametrize(
    ("target", "same"),
    [
        ("/a/../b", False),
        ("/./oauth2/logout", False),
        ("/a/%2E%2e/oauth2/logout", False),
        ("/a/..", False),
        ("/a?b=/../c", True),
        ("/a//b", True),
        ("/a?b=/..//d", True),
        ("/.//evil", False),
        ("/a/%2E%2e//b", False),
        ("/a/%2E//b", False),
        ("/a/.%2E//b", False),
        ("/a//b/%2e", False),
        ("/a/..%2F//b", True),
        ("/a/...//b", True),
        ("/[x]~", True),
        ("/\\evil", False),
        ("//evil", False),
        ("/a#b", False),
        ("/a?b#c", False),
        ("/a?b c", False),
        ("/a?b\x7f", False),
        ("/a\\b?c", False),
    ],
)
def test_a_path_that_could_mean_another_is_no_return_target(target, same):
    assert (same_origin_target(target) is not None) is same


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/search?q=a\\b", "/search?q=a%5Cb"),
        ("/search?q=caf\u00e9", "/search?q=caf%C3%A9"),
        ("/search?q=\ud800", "/search?q=%3F"),
        ("/search?q=a%5Cb&x=[y]", "/search?q=a%5Cb&x=[y]"),
    ],
)
def test_data_in_the_query_of_a_return_target_is_kept_in_ascii(target, kept):
    assert same_origin_target(target) == kept


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example:443/x", "https://a.example"),
        ("http://a.example:80/x", "http://a.example"),
        ("https://a.example:80/", "https://a.example:80"),
        ("http://a.example:443/", "http://a.example:443"),
        ("https://[::1]:8443/x", "https://[::1]:8443"),
    ],
)
def test_the_origin_of_a_url(url, expected):
    assert origin(url) == expected


def test_a_header_that_stands_several_times_is_joined():
    asked = request("/a")
    several = replace(asked, headers=(("x", "1"), ("y", "0"), ("x", "2")))
    assert [several.header(name) for name in ("x", "y", "z")] == ["1,2", "0", ""]


def test_a_query_is_read_up_to_16_kB_and_64_parameters():
    pad = "a=" + "x" * (MAX_QUERY - 2)
    assert parameters(pad) == [("a", pad[2:])]
    assert raised(lambda: parameters(pad + "x")) == (ValueError, "the query is too long")
    assert len(parameters("&".join(["a=1"] * 64))) == 64
    assert raised(lambda: parameters("&".join(["a=1"] * 65)))[0] is ValueError
    assert parameters("a=&b") == [("a", ""), ("b", "")]


def test_a_path_is_normalised_as_envoy_does_before_it_chooses_a_route():
    assert as_envoy_reads("/%6Fauth2//x%2Fy%2e%7E%C3%A9") == "/oauth2/x%2Fy.~%C3%A9"
    assert as_envoy_reads("/%41%5a%61%7a%30%39%2D%5F%40%5B%60%7b") == "/AZaz09-_%40%5B%60%7b"
