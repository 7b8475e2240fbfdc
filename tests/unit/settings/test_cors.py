"""Which pages of other origins may read an application's answers."""

from typing import Any

import pytest

PORTAL = "https://portal.example.com"


@pytest.mark.attack("WEB-12")
@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({}, ".cors.origins: is missing"),
        ({"origins": []}, ".cors.origins: "),
        ({"origins": PORTAL}, ".cors.origins: input should be a valid array"),
        ({"origins": ["portal.example.com"]}, ": an origin is scheme://host or scheme://host:port"),
        ({"origins": [f"{PORTAL}/"]}, ": an origin is scheme://host or scheme://host:port"),
        ({"origins": ["https://*.example.com"]}, ": an origin is scheme://host or"),
        ({"origins": ["https://Portal.example.com"]}, ": an origin is scheme://host or"),
        ({"origins": ["https://a.test:65536"]}, ": an origin is scheme://host or"),
        ({"origins": ["https://a.test\n"]}, ": an origin is scheme://host or"),
        ({"origins": ["file:///x"]}, ": an origin is scheme://host or"),
        ({"origins": [["null"]]}, 'every origin is "*", and none is "null", in quotes'),
        ({"origins": ["*", PORTAL]}, 'origins: "*" is every origin; leave out the others, or "*"'),
        (
            {"origins": ["*"], "credentials": True},
            'origins: "*" and "null" go with no credentials: every page',
        ),
        (
            {"origins": [PORTAL, "null"], "credentials": True},
            'origins: "*" and "null" go with no credentials: every page',
        ),
        ({"origins": [PORTAL], "methods": []}, ".cors.methods: "),
        ({"origins": [PORTAL], "methods": ["put"]}, "'put' is not a method in upper case that"),
        ({"origins": [PORTAL], "methods": ["*"]}, "'*' is not a method in upper case that pages"),
        ({"origins": [PORTAL], "methods": ["TRACE"]}, "'TRACE' is not a method in upper case that"),
        ({"origins": [PORTAL], "methods": ["A, B"]}, "'A, B' is not a method in upper case that"),
        ({"origins": [PORTAL], "headers": ["*"]}, "headers: '*' is not the name of a header, such"),
        ({"origins": [PORTAL], "headers": ["x_a"]}, "headers: 'x_a' is not the name of a header"),
        ({"origins": [PORTAL], "headers": ["a\r\nb"]}, "is not the name of a header, such as"),
        (
            {"origins": [PORTAL], "expose": ["%"]},
            "expose: '%' is not the name of a header, such as",
        ),
        ({"origins": [PORTAL], "max_age": 1.5}, "max_age is whole seconds, 1d or less"),
        ({"origins": [PORTAL], "max_age": "2d"}, "max_age is whole seconds, 1d or less"),
        ({"origins": [PORTAL], "orgins": []}, ".cors.orgins: there is no such key; did you mean"),
    ],
)
def test_wrong_settings_of_other_pages_are_explained_in_one_line(
    fault: Any, change: dict[str, Any], explanation: str
) -> None:
    line = fault({"applications": {"app": {"cors": change}}})
    assert explanation in line and "\n" not in line


def test_origins_are_compared_as_browsers_write_them(read: Any) -> None:
    cors = {"origins": ["https://a.test:443", "http://b.test:80", "http://b.test:8080", "null"]}
    made = read({"applications": {"app": {"cors": cors}}}).applications["app"].cors
    assert made.origins == ("https://a.test", "http://b.test", "http://b.test:8080", "null")
    assert not made.credentials and made.methods == ("GET", "HEAD", "POST")
    every = read({"applications": {"app": {"cors": {"origins": ["*"]}}}})
    assert every.applications["app"].cors.origins == ("*",)
