"""What the patterns match, and what they do not."""

import re
from urllib.parse import quote

import pytest

from extproc.envoyconfig.regexes import public


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
