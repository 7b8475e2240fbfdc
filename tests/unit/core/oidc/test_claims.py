"""Claims: JSON read strictly, claims by name, and their encoding in headers."""

import pytest
from harness.refusals import EVIL, raised

from extproc.core.oidc.claims import (
    Claims,
    header_value,
    number,
    overlaid,
    parse_object,
    raw_header_value,
    size_of,
)


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda: parse_object('{"a":1,"a":2}'), "a key stands twice"),
        (lambda: parse_object('{"a":NaN}'), "NaN and Infinity are no JSON"),
        (lambda: parse_object(EVIL), "not JSON"),
        (lambda: parse_object("[]"), "no JSON object"),
    ],
)
def test_the_log_names_what_is_wrong_with_json(call, detail):
    assert raised(call) == (ValueError, detail)


@pytest.mark.attack("HDR-09", "HDR-10", "HDR-11")
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("alice", "alice"),
        (None, ""),
        ("", ""),
        ([], ""),
        (True, "true"),
        (0, "0"),
        (1.5, "1.5"),
        (float("inf"), ""),
        (float("nan"), ""),
        ("a\r\nx-auth-groups: admin", "a%0D%0Ax-auth-groups: admin"),
        ("Doe, John", "Doe%2C John"),
        ("100%", "100%25"),
        ("Zoë 😀", "Zo%C3%AB %F0%9F%98%80"),
        (" a ", "%20a%20"),
        ("   ", "%20%20%20"),
        ("a\x00b", "a%00b"),
        (["a,admin", "b"], "a%2Cadmin,b"),
        (["", None, "a"], "a"),
        ([["a", "b"]], '["a"%2C"b"]'),
        ({"a": 1, "b": [2]}, '{"a":1%2C"b":[2]}'),
        ("a;b=c", "a;b=c"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_the_encoding_of_claims(claim, value):
    assert header_value(claim) == value


@pytest.mark.attack("HDR-09", "HDR-10", "HDR-11")
@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("Zoë 北京", "Zoë 北京"),
        ("50 %", "50 %"),
        (["a", "b c"], "a,b c"),
        (["a", None, ""], "a"),
        (5, "5"),
        (True, "true"),
        ([1, "x"], "1,x"),
        *((claim, "") for claim in (None, "", [], {}, {"a": 1}, ["a", {"b": 1}], ["a", ["b"]])),
        *((f"a{sign}b", "") for sign in ",\r\n\0\t\x7f\x85\u2028\u00a0\u3000\ud800\u200b"),
        *(("a ", ""), (" a", ""), (["a", "b,c"], ""), (["a ", "b"], "")),
    ],
)
def test_a_raw_value_is_one_value_or_none(claim, value):
    assert raw_header_value(claim) == value


def test_the_size_of_a_value_is_that_of_its_bytes():
    assert [size_of(value) for value in ("", "abc", "é", "北京")] == [0, 3, 2, 6]


def test_claims_are_read_by_name_then_by_path():
    claims = Claims({"realm_access": {"roles": ["a"]}, "a.b": 1, "a": {"b": 2}, "list": ["x"]})
    assert (
        claims.get("realm_access.roles"),
        claims.get("a.b"),
        claims.get("list.0"),
        claims.get("gone.x"),
    ) == (
        ["a"],
        1,
        None,
        None,
    )


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"a":1,"a":2}', '{"a":NaN}', "", "[" * 100_000, b"\xff"]
)
def test_json_is_read_strictly(text):
    with pytest.raises(ValueError, match=r"^[A-Za-z ]+$"):
        parse_object(text)


def test_claims_are_ascii_json_without_blanks_and_objects_have_one_order():
    assert Claims({"a": "ä", "b": [1, {"c": None}]}).json() == '{"a":"\\u00e4","b":[1,{"c":null}]}'
    assert header_value({"b": 1, "a": 2}) == '{"a":2%2C"b":1}'


@pytest.mark.attack("IDT-13")
def test_a_number_of_any_length_is_a_number_or_none():
    assert [number(value) for value in (10**400, float("inf"), float("nan"), True, "1", None)] == [
        None
    ] * 6
    assert [number(value) for value in (1, 0, -1.5)] == [1, 0, -1.5]


@pytest.mark.parametrize(
    ("known", "newer", "result"),
    [
        ({"a": 1, "b": 1}, {"b": 2, "c": 2}, {"a": 1, "b": 2, "c": 2}),
        # one source's word about another source's address
        ({"email": "a", "email_verified": True}, {"email": "b"}, {"email": "b"}),
        ({"email": "a", "email_verified": True}, {"email": "b", "email_verified": False}, {"email": "b", "email_verified": False}),
        ({"email": "a"}, {"email_verified": True}, {"email": "a"}),
        ({"email": "a"}, {"email_verified": "true", "name": "A"}, {"email": "a", "name": "A"}),
        ({"email": "a", "email_verified": True}, {"email_verified": False}, {"email": "a", "email_verified": False}),
        ({"email": "a", "email_verified": True}, {"name": "A"}, {"email": "a", "email_verified": True, "name": "A"}),
        ({"email_verified": True}, {"email": "b"}, {"email": "b"}),
    ],
)  # fmt: skip
def test_a_source_confirms_only_the_address_that_it_names(known, newer, result):
    before = dict(known), dict(newer)
    assert overlaid(known, newer) == result
    assert (known, newer) == before


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        ('{"a": NaN}', "NaN and Infinity are no JSON"),
        ('{"a": 1, "a": 2}', "a key stands twice"),
    ],
)
def test_what_is_wrong_with_json_is_said_in_fixed_words(text, fault):
    with pytest.raises(ValueError, match=rf"^{fault}$") as caught:
        parse_object(text)
    assert caught.value.__cause__ is None


def test_a_number_that_is_infinite_is_read_as_null_and_never_written():
    claims = Claims(parse_object('{"a": 1e400, "b": [-1e999, 1.5], "c": {"d": 1E309}, "e": 1e5}'))
    assert claims.values == {"a": None, "b": [None, 1.5], "c": {"d": None}, "e": 1e5}
    assert "Infinity" not in claims.json() and header_value(claims.get("b")) == "1.5"
