"""The demo's browser sends what real browsers send."""

import httpx
import pytest

from extproc.checks.browser import Browser, shown

LOGIN = (
    "<form method=post><input type=hidden name=id value=t1><input name=username><input "
    "name=password></form>"
)
OTHER = "<form method=post action=/oauth2/logout><button>Sign out</button></form>"


def browse(answers):
    """A browser at a network with fixed answers, and the requests that it made."""
    asked = []

    def answer(request):
        asked.append(request)
        return answers[f"{request.method} {request.url}"]

    browser = Browser("alice", "wonderland", extra=(("x-auth-sub", "EVIL"),))
    browser._http = httpx.Client(
        transport=httpx.MockTransport(answer), headers=browser._http.headers
    )
    return browser, asked


def html(text):
    return httpx.Response(200, text=text, headers={"content-type": "text/html"})


def to(url, *cookies):
    return httpx.Response(
        303, headers=[("location", url), *(("set-cookie", cookie) for cookie in cookies)]
    )


def login():
    return browse(
        {
            "GET http://localhost:1/a?b=c": to(
                "http://127.0.0.1:1/authorize?state=s", "__Host-x=1; Secure", "gone=; Max-Age=0"
            ),
            "GET http://127.0.0.1:1/authorize?state=s": html(LOGIN),
            "POST http://127.0.0.1:1/authorize?state=s": to(
                "http://localhost:1/oauth2/callback?code=SECRET"
            ),
            "GET http://localhost:1/oauth2/callback?code=SECRET": to("/a?b=c"),
            "POST http://localhost:1/oauth2/logout": to(
                "http://localhost:1/oauth2/callback?code=SECRET"
            ),
        }
    )


def test_it_logs_in_and_says_by_fetch_metadata_where_it_comes_from():
    browser, asked = login()
    browser.cookies["localhost"] = {"gone": "x"}
    # The last answer is the same redirect, so this tests the limit of redirects as well.
    landing = browser.open("http://localhost:1/a?b=c")
    sites = [request.headers["sec-fetch-site"] for request in asked[:5]]
    assert sites == ["none", "none", "same-origin", "cross-site", "cross-site"]
    assert asked[2].content == b"id=t1&username=alice&password=wonderland"
    assert asked[2].headers["origin"] == "http://127.0.0.1:1"
    assert "origin" not in asked[3].headers
    assert len(landing.hops) == 20


def test_cookies_belong_to_a_host_and_secure_ones_go_back_over_http_on_loopback():
    browser, asked = login()
    browser.cookies["localhost"] = {"gone": "x"}
    browser.open("http://localhost:1/a?b=c")
    assert [request.headers.get("cookie") for request in asked[:4]] == [
        "gone=x",
        None,
        None,
        "__Host-x=1",
    ]
    assert browser.cookies == {"localhost": {"__Host-x": "1"}, "127.0.0.1": {}}


def test_only_a_form_that_asks_for_a_password_is_filled_in():
    browser, asked = browse({"GET http://localhost:1/": html(OTHER)})
    assert browser.open("http://localhost:1/").answer.status_code == 200
    assert len(asked) == 1


def test_a_form_is_sent_with_its_pages_origin():
    browser, asked = login()
    browser.submit("http://localhost:1/page", "http://localhost:1/oauth2/logout", {})
    assert (asked[0].method, asked[0].headers["origin"], asked[0].headers["sec-fetch-site"]) == (
        "POST",
        "http://localhost:1",
        "same-origin",
    )


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (
            "http://localhost:1/oauth2/callback?code=SECRET&state=s",
            "http://localhost:1/oauth2/callback?code=…&state=…",
        ),
        ("http://127.0.0.1:1/authorize?nonce=n", "http://127.0.0.1:1/authorize?nonce=…"),
        ("http://localhost:1/a?q=a%2Fb", "http://localhost:1/a?q=a%2Fb"),
        ("http://localhost:1/", "http://localhost:1/"),
    ],
)
def test_what_is_shown_of_an_address_is_no_secret(url, text):
    assert shown(url) == text
