"""Base64url and JSON as the core writes them."""

import pytest
from harness.refusals import EVIL, raised

from extproc.core.encoding import b64decode, b64encode, to_json


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: b64decode(EVIL), "not base64url"),
        (lambda: b64decode("AAAAA"), "not base64url"),
        (lambda: b64decode("AB"), "not canonical base64url"),
    ],
)
def test_what_is_not_canonical_base64url_is_refused(call, detail):
    assert raised(call) == (ValueError, detail)


@pytest.mark.parametrize("size", range(7))
def test_bytes_of_any_length_are_read_back_without_padding(size):
    data = b"\xfb\xff\x00\x10~?>"[:size]
    text = b64encode(data)
    assert not set(text) & set("+/=") and b64decode(text) == data


@pytest.mark.parametrize("text", ["AA==", "A A", "AA\n", "+/+/", "A", "\u0661\u0661"])
def test_padding_blanks_and_other_alphabets_are_refused(text):
    with pytest.raises(ValueError, match="not base64url"):
        b64decode(text)


def test_json_is_compact_ascii():
    assert to_json(["\u00e4", {"a": None}, (1, True)]) == '["\\u00e4",{"a":null},[1,true]]'
