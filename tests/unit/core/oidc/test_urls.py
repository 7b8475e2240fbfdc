"""What is wrong with a URL, in words that follow its name. What HTTP clients accept is compared in
tests/properties/test_urls.py.
"""

import pytest

from extproc.core.oidc.urls import LONGEST, url_fault

HOST = "has no host that can be called: "
LABEL = HOST + "each label has 1 to 63 letters, digits, hyphens or underscores"
BRACKETS = HOST + "brackets are for IPv6 addresses"
NUMBER = HOST + "its last label is a number, and it is no IPv4 address"
A_LABEL = HOST + "a label that begins with xn-- is no internationalized one"
PORT = "has no port between 1 and 65535 after its host"
LENGTH = f"has no character, or more than {LONGEST}"
SCHEME = "does not begin with https:// or http://"
CHARACTER = "has a blank, a backslash, or a character that is not ASCII"


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example",
        "http://a.example./x?y=z",
        "https://a_b-c.example:/",
        "https://a.example:1/",
        "https://a.example:65535/",
        "https://192.0.2.1:8443/",
        "https://[2001:db8::1]/",
        "https://xn--strae-oqa.example/",
        "https://" + "a" * 63 + "/",
        "https://a.example/" + "x" * (LONGEST - 18),
    ],
)
def test_a_url_that_clients_call_has_no_fault(url):
    assert url_fault(url) is None


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", LENGTH),
        ("https://a.example/" + "x" * (LONGEST - 17), LENGTH),
        ("https://a.example/ ", CHARACTER),
        ("https:\\\\a.example", CHARACTER),
        ("https://\u00e4.example/", CHARACTER),
        ("ftp://a.example/", SCHEME),
        ("https:/a.example/", SCHEME),
        ("a.example", SCHEME),
        ("https://a.example/#f", "has a fragment"),
        ("https://user@a.example/", "has a user or a password"),
        ("https://[::1/", BRACKETS),
        ("https://[a.example]/", BRACKETS),
        ("https://[fe80::1%25eth0]/", BRACKETS),
        ("https://a.example:0/", PORT),
        ("https://a.example:65536/", PORT),
        ("https://a.example:x/", PORT),
        ("https://1.2.3/", NUMBER),
        ("https://a.0x7f/", NUMBER),
        ("https://256.0.2.1/", NUMBER),
        ("https://" + "a." * 126 + "aa/", "has a host of more than 253 characters"),
        ("https:///x", LABEL),
        ("https://a..b/", LABEL),
        ("https://-a.example/", LABEL),
        ("https://" + "a" * 64 + "/", LABEL),
        ("https://xn--a.example/", A_LABEL),
        ("https://xn--a-ecp.example/", A_LABEL),
        ("https://xn--99999999999.example/", A_LABEL),
        ("https://xn--abc-.example/", LABEL),
    ],
)
def test_the_fault_of_any_other_url_is_named(url, fault):
    assert url_fault(url) == fault


def test_text_behind_a_bracket_is_a_fault_by_any_python():
    """Python 3.13.4 and newer refuse the URL as a whole, older ones find no port."""
    assert url_fault("https://[::1]x/") in (PORT, BRACKETS)
