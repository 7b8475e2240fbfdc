"""The core and a browser read the same text in the same way.

Cookies by RFC 6265bis, URLs and queries as a real Chromium reads them. What Envoy reads as well is
in tests/envoy/test_parsers_agree.py.
"""

import contextlib
import ipaddress
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from harness.chromium import FLAGS, playwright
from harness.corpora import Jar, queries, stored, strict, targets, urls
from harness.downloads import found
from harness.tokens import ISSUER, METADATA, application, pending

from extproc.core.endpoints import parameter
from extproc.core.errors import Refusal
from extproc.core.http import Request, origin
from extproc.core.login import return_target
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.session import SessionId

APP = application()
LOGIN = APP.cookies.login(pending().attempt)


def _pairs(entropy: bytes) -> tuple[tuple[str, str], ...]:
    value = SessionId.of(entropy).cookie
    return (
        (APP.cookies.session, value),
        (APP.cookies.assertion, "e30." + value),
        (LOGIN, "AQ" + value[:30].replace(".", "-")),
    )


JAR = Jar(_pairs(b"a" * 32), _pairs(b"m" * 32))


def core(*lines: str) -> Request:
    return Request(
        "app", False, "GET", "/", "app.example", tuple(("cookie", line) for line in lines)
    )


def asking(query: str) -> Request:
    return Request("app", False, "GET", f"/oauth2/login?{query}", "app.example")


# -- cookies ---------------------------------------------------------------------------------------


@pytest.mark.attack("COOK-14")
def test_the_core_reads_cookies_as_rfc_6265bis_has_them() -> None:
    """A cookie has the value of RFC 6265bis or none, and never a part of another cookie."""
    for lines in JAR.headers(seed=1, count=20_000):
        asked, cookies = core(*lines), strict(lines)
        assert set(asked.cookies) <= set(cookies), lines
        for name, value in JAR.ours:
            values = {each for found, each in cookies if found == name}
            good = {each for each in values if each in (value, dict(JAR.planted)[name])}
            taken = asked.cookie(name)
            assert taken is None or taken in values, (lines, name)
            # Several of one name count as none, unless only one of them can be valid.
            assert len(values) == 1 or taken is None or good <= {taken}, (lines, name)
            assert taken is not None or not (len(values) == len(good) == 1), (lines, name)


@pytest.mark.attack("COOK-12")
@pytest.mark.threat("one-login")
def test_whatever_a_neighbour_can_make_a_browser_keep_changes_nothing_of_ours() -> None:
    for line in JAR.kept(seed=2, count=20_000):
        asked = core(line)
        for name, value in JAR.ours:
            assert asked.cookie(name) == value, line


@pytest.mark.attack("COOK-12")
def test_a_browser_keeps_of_a_neighbours_cookie_what_rfc_6265bis_says() -> None:
    assert (
        stored("prefs=dark,__Host-extproc-session-app=x; Domain=a.test", secure=False)
        == "prefs=dark,__Host-extproc-session-app=x"
    )
    assert (
        stored("__Host-a=b; Path=/; Secure", secure=True)
        is stored("__hOst-a=b", secure=True)
        is stored("=__Host-a=b", secure=True)
        is None
    )
    assert (
        stored("__Secure-a=b", secure=False)
        is stored("a=\x01b", secure=True)
        is stored("=", secure=True)
        is None
    )
    assert (
        stored(" a = b ;", secure=False),
        stored("c", secure=False),
        stored("=d", secure=False),
    ) == (
        "a=b",
        "c",
        "d",
    )
    assert stored("__Secure-a=b", secure=True) == "__Secure-a=b"


# -- what a browser makes of a URL -----------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Evaluates JavaScript with an argument."""
    with playwright() as started:
        running = started.chromium.launch(
            executable_path=found("EXTPROC_CHROMIUM", "Chromium"), args=FLAGS
        )
        page = running.new_page()
        yield page.evaluate
        running.close()


_URL = """texts => texts.map(([text, base]) => {
  try { const u = new URL(text, base); return [u.origin, u.pathname, u.hostname, u.username + u.password + u.hash]; } catch { return null; }
})"""


@pytest.mark.attack("REDI-01")
@pytest.mark.threat("one-login")
def test_where_a_login_ends_is_our_origin_to_a_browser_too(browser: Any) -> None:
    """It is no endpoint of the gateway either, because then a login could end with a logout."""
    wanted = [*dict.fromkeys(targets(seed=3, count=20_000))]
    ends = [return_target(APP, target) for target in wanted]
    read = browser(_URL, [[APP.origin + end, "https://idp.example/auth"] for end in ends])
    faults = [
        f"{target!r} ends at {end!r}, which a browser reads as {theirs}"
        for target, end, theirs in zip(wanted, ends, read, strict=True)
        if theirs is None
        or theirs[0] != APP.origin
        or theirs[3]
        or theirs[1].startswith(APP.endpoints)
    ]
    assert not faults, f"{len(faults)} faults: " + "\n".join(faults[:20])
    assert sum(end != APP.path_prefix for end in ends) > 1000


@pytest.mark.attack("KEYS-03")
def test_a_provider_s_address_is_the_same_to_us_to_our_client_and_to_a_browser(
    browser: Any,
) -> None:
    """The browser is sent to the address in the metadata, and the processor connects to it."""
    faults, accepted = [], []
    for url in dict.fromkeys(urls(seed=4, count=6000, host="idp.example")):
        try:
            accepted.append((url, _parsed(url)))
        except Refusal:
            continue
    read = browser(_URL, [[url, "https://app.example/"] for url, _ in accepted])
    for (url, metadata), theirs in zip(accepted, read, strict=True):
        try:
            ours = {
                _place(origin(metadata.token_endpoint)),
                _place(str(httpx.URL(metadata.token_endpoint))),
            }
        except (ValueError, httpx.InvalidURL) as error:
            faults.append(f"{url!r} is accepted, and our own client says {type(error).__name__}")
            continue
        if theirs is None or {_place(theirs[0])} != ours or theirs[3]:
            faults.append(f"{url!r}: {ours} to us, {theirs} to a browser")
    assert not faults, f"{len(faults)} of {len(accepted)} faults: " + "\n".join(faults[:20])
    assert len(accepted) > 50


def _place(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a URL. Addresses in one spelling."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    return parts.scheme, host, parts.port or {"http": 80, "https": 443}[parts.scheme]


def _parsed(url: str) -> ProviderMetadata:
    endpoints = dict.fromkeys(("authorization_endpoint", "token_endpoint"), url)
    return ProviderMetadata.parse(
        json.dumps({"issuer": ISSUER, "jwks_uri": METADATA.jwks_uri, **endpoints}).encode(), ISSUER
    )


_QUERY = "([texts, name]) => texts.map(text => new URLSearchParams(text).getAll(name))"


@pytest.mark.attack("REDI-01")
def test_a_query_says_the_same_to_us_as_to_a_browser(browser: Any) -> None:
    """One return_to is that value or none. Several count as none."""
    asked = [*dict.fromkeys(queries(seed=6, count=6000, name="return_to"))]
    faults = [
        f"{query!r} has {theirs} for a browser, and we read {ours!r}"
        for query, theirs in zip(asked, browser(_QUERY, [asked, "return_to"]), strict=True)
        if (ours := return_target(APP, parameter(asking(query), "return_to")))
        not in ({return_target(APP, theirs[0]), "/"} if len(theirs) == 1 else {"/"})
    ]
    assert not faults, f"{len(faults)} faults: " + "\n".join(faults[:20])


@pytest.mark.attack("FLOW-04")
def test_a_callback_says_the_same_to_us_as_to_a_browser(browser: Any) -> None:
    asked = [
        f"state={pending().state}&{query}"
        for query in dict.fromkeys(queries(seed=8, count=6000, name="code"))
    ]
    faults = []
    for query, theirs in zip(asked, browser(_QUERY, [asked, "code"]), strict=True):
        try:
            code = AuthorizationResponse.parse(query).code
        except Refusal:
            continue
        if [code] != theirs:
            faults.append(f"{query!r} has {theirs} for a browser, and we read {code!r}")
    assert not faults, f"{len(faults)} faults: " + "\n".join(faults[:20])
