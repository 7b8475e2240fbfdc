"""The browser sends what a browser sends: cookies, Sec-Fetch-*, forms."""

from collections.abc import Iterator

import pytest
from harness.static_server import Answer, StaticServer

from extproc.checks.browser import Browser, shown, without_values

FORM = '<form action="/login" method="post"><input name="username"><input name="password"><input name="t" value="v"></form>'


@pytest.fixture
def site() -> Iterator[StaticServer]:
    with StaticServer() as server:
        yield server


def test_redirects_are_followed_and_login_forms_filled_in(site: StaticServer) -> None:
    site.answers = {
        "/": Answer.redirect("/form"),
        "/form": Answer.html(FORM),
        "/login": Answer.redirect("/in"),
        "/in": Answer.html("<p>in</p>"),
    }
    with Browser("alice", "pw") as browser:
        landing = browser.open(site.url + "/")
    assert [(each.method, each.path) for each in site.received] == [
        ("GET", "/"),
        ("GET", "/form"),
        ("POST", "/login"),
        ("GET", "/in"),
    ]
    assert site.received[2].body == "username=alice&password=pw&t=v"
    assert landing.url == site.url + "/in" and landing.hop("/login") is not None


def test_a_form_without_a_password_is_not_submitted(site: StaticServer) -> None:
    site.answers["/"] = Answer.html('<form method="post"><input name="out"></form>')
    with Browser() as browser:
        assert len(browser.open(site.url + "/").hops) == 1


def test_each_request_names_the_site_that_caused_it(site: StaticServer) -> None:
    site.answers = {"/": Answer.html(""), "/post": Answer.html("")}
    with Browser() as browser:
        browser.open(site.url + "/")
        browser.submit(site.url + "/", site.url + "/post", {})
        browser.submit("http://evil.example/page", site.url + "/post", {})
        browser.fetch(site.url + "/")
    assert [each.headers["sec-fetch-site"] for each in site.received] == [
        "none",
        "same-origin",
        "cross-site",
        "same-origin",
    ]
    assert site.received[2].headers["origin"] == "http://evil.example"
    assert "origin" not in site.received[0].headers


def test_cookies_are_kept_until_they_expire(site: StaticServer) -> None:
    site.answers = {
        "/": Answer.redirect("/next", "a=1; Path=/", "b=2; Secure"),
        "/next": Answer.redirect("/last", "a=; Max-Age=0"),
        "/last": Answer.html(""),
    }
    with Browser() as browser:
        browser.open(site.url + "/")
        assert browser.cookies == {"127.0.0.1": {"b": "2"}}
    assert [each.headers.get("cookie") for each in site.received] == [None, "a=1; b=2", "b=2"]


def test_the_values_of_a_login_s_parameters_are_not_shown() -> None:
    secret = "http://localhost/oauth2/callback?code=canary&state=canary"
    assert shown(secret) == "http://localhost/oauth2/callback?code=…&state=…"
    assert shown("http://localhost/page?a=1#x") == "http://localhost/page?a=1"
    assert without_values("https://idp/auth?a=canary") == "https://idp/auth?a=…"
