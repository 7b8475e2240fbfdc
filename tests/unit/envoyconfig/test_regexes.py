"""What the patterns match, and what they do not."""

import re
from urllib.parse import quote

import pytest

from extproc.envoyconfig.regexes import public, removed


def test_patterns_match_what_they_say() -> None:
    assert re.fullmatch(public("/a/"), "/a/b%20c/%E2%82%AC")
    assert not re.fullmatch(public("/a/"), "/a")
    assert re.fullmatch(public("/a"), "/a")
    assert not re.fullmatch(public("/a"), "/ab")
    assert not re.fullmatch(public("/a.b"), "/axb")


@pytest.mark.threat("policy-of-the-route")
def test_a_public_path_is_well_formed_utf_8() -> None:
    matches = re.compile(public("/a/")).fullmatch
    for first in range(0x80, 0x110000, 0x1FF):
        if 0xD800 <= first < 0xE000:
            continue
        assert matches("/a/" + quote(chr(first))), hex(first)
    for number in range(0xD800, 0xE000, 0x3F):
        assert not matches("/a/" + quote(chr(number), errors="surrogatepass")), hex(number)
    for escaped in (
        "%C0%AF",
        "%E0%80%AF",
        "%F0%80%80%AF",
        "%F4%90%80%80",
        "%FF",
        "%80",
        "%ED%A0%80",
    ):
        assert not matches(f"/a/x{escaped}") and not matches(f"/a/x{escaped.lower()}")
    assert matches("/a/%ED%9F%BF") and matches("/a/%ed%9f%bf") and matches("/a/%EE%80%80")


ALWAYS = ["x-original-url", "x-rewrite-url", "x-http-method-override", "x-method-override"]
ALWAYS += ["x.original.url", "x-accel-redirect", "x-sendfile-type", "proxy", "x-original!url"]
ALWAYS += ["x.forwarded.for", "x-forwarded.for", "x.forwarded-proto", "x!forwarded!host"]
ALWAYS += ["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-uri"]
ALWAYS += ["x-forwarded-preferred-username", "x-forwarded-access-token", "x-forwarded-method"]
ALWAYS += ["x-forwarded-access!token", "x-forwarded!user"]
PROXIES = ["forwarded", "x-forwarded", "x-forwarded-host", "x-forwarded-prefix", "x-forwarded-fo"]
PROXIES += ["x-forwarded-f", "x-forwarded-ford", "x-forwarded-protocol", "x-forwarded-prot"]
PROXIES += ["x-forwarded-", "x-forwarded-users", "x-real-ip", "true-client-ip", "x-original-host"]
NEVER = ["x-forwarded-for", "x-forwarded-proto", "x-forward", "x-real", "host", "forwarded-x"]
NEVER += ["x-request-id", "traceparent", "proxy-x", "authorization", "x-accel", "range"]


@pytest.mark.parametrize("trusted", [True, False])
def test_what_describes_a_request_is_a_trusted_proxy_s_to_write(trusted: bool) -> None:
    pattern = removed((), trusted=trusted)
    for name in ALWAYS:
        assert re.fullmatch(pattern, name), name
    for name in PROXIES:
        assert bool(re.fullmatch(pattern, name)) is not trusted, name
    for name in ("x.real.ip", "true!client-ip", "x-original.host"):
        assert re.fullmatch(pattern, name), "no proxy spells it so"
    for name in NEVER:
        assert not re.fullmatch(pattern, name), name


@pytest.mark.parametrize("trusted", [True, False])
def test_the_identity_of_another_proxy_may_be_kept(trusted: bool) -> None:
    pattern = removed(("x-forwarded-user",), trusted=trusted)
    assert not re.fullmatch(pattern, "x-forwarded-user")
    assert re.fullmatch(pattern, "x-forwarded-email")


def test_a_header_that_is_kept_passes_and_no_other() -> None:
    pattern = removed(("x-http-method-override", "x-forwarded-prefix"), trusted=False)
    for name in ("x-http-method-override", "x-forwarded-prefix", "x-forwarded-for"):
        assert not re.fullmatch(pattern, name), name
    for name in ("x-http-method", "x-forwarded-prefi", "x-forwarded-prefix2", "x-forwarded-host"):
        assert re.fullmatch(pattern, name), name
