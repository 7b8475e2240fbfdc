"""Cookies: what is read of a request's, and what is set."""

from dataclasses import replace

import pytest
from harness.tokens import request

from extproc.core.cookies import Cookie


@pytest.mark.attack("COOK-01")
def test_the_attributes_of_a_cookie():
    assert (
        Cookie("__Host-x", "v", True, 60).header()
        == "__Host-x=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure"
    )
    assert Cookie("x", "v", False).header() == "x=v; Path=/; HttpOnly; SameSite=Lax"


@pytest.mark.attack("COOK-12", "COOK-14")
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("a=1; s=x; b=2", "x"),
        ("s=x; s=x", "x"),
        ("s=x; s=y", None),
        # a comma separates nothing: browsers allow it in a value, and a neighbouring host may have
        # put our name behind it
        ("s=x,s=x", None),
        ("a=1,s=x", None),
        ("a=1, s=x; b=2", None),
        ("a=1;s=x,", None),
        ('a="1; s=x', "x"),
        ("a=1\x0bs=x", None),
        ("\x0bs=x; \xa0s=x", None),
        ("s =x; s= x", None),
        ("S=x", None),
        ("s", None),
        ("s=", None),
        ("xs=1", None),
        ("s=a=b", None),
        ('s="x"', None),
        ("  s=x  ", "x"),
        ("\ts=x\t", "x"),
        ("", None),
    ],
)
def test_a_cookie_that_stands_twice_is_none(header, value):
    assert request(cookie=header).cookie("s") == value


def test_several_cookie_headers_are_one():
    asked = replace(request(), headers=(("cookie", "a=1"), ("cookie", "s=x")))
    assert asked.cookie("s") == "x" and asked.cookie("a") == "1"
    assert asked.cookies == (("a", "1"), ("s", "x"))


@pytest.mark.attack("COOK-15")
def test_of_very_many_cookies_the_last_count():
    many = "; ".join(f"c{number}=x" for number in range(1000))
    assert request(cookie=many).cookies == tuple(
        (f"c{number}", "x") for number in range(1000 - 256, 1000)
    )
    assert request(cookie=f"a={'x' * 4097}; b={'y' * 4096}").cookies == (("b", "y" * 4096),)


@pytest.mark.attack("COOK-12")
def test_several_values_of_a_name_are_all_there():
    asked = request(cookie="s=x; s=y; s=x; t=1")
    assert asked.cookie_values("s") == ("x", "y") and asked.cookie("s") is None
    assert asked.cookie_values("t") == ("1",) and asked.cookie_values("u") == ()
