"""The authorization request, and the cookies of logins that are under way."""

import hashlib
from dataclasses import replace
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest
from harness.refusals import raised
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    METADATA,
    NOW,
    application,
    cookie_header,
    pending,
    request,
)

from extproc.core.encoding import b64encode
from extproc.core.errors import StateMismatch
from extproc.core.login import (
    BROWSER_BYTES,
    MAX_OPENED,
    authorization_url,
    login_cookie,
    pending_of,
    requested_page,
    under_way,
)
from extproc.core.oidc.authorization import GRACE, LIFE

APP = application()
STATE = pending().state
INCOMPRESSIBLE = "".join(
    b64encode(hashlib.sha512(bytes([number])).digest())[:80] for number in range(100)
)


def test_the_log_names_a_login_cookie_of_another_state_or_issuer():
    ours = cookie_header(APP, pending(APP))
    assert (
        raised(lambda: pending_of(APP, request(cookie=ours), STATE[:-1] + "~"))[1]
        == "the state is malformed"
    )
    other = STATE[:-1] + ("A" if STATE[-1] != "A" else "B")
    elsewhere = replace(pending(APP), issuer="https://evil.example")
    for state, cookie in ((other, ours), (STATE, cookie_header(APP, elsewhere))):
        refusal = raised(partial(pending_of, APP, request(cookie=cookie), state))
        assert refusal == (StateMismatch, "the login cookie has another state or another issuer")


def test_the_login_cookie_has_the_attributes_of_all_and_outlives_its_attempt():
    cookie = login_cookie(APP, pending(APP), ENTROPY_BYTES)
    assert (cookie.secure, cookie.max_age) == (True, 7200)


@pytest.mark.attack("FLOW-01")
def test_the_authorization_request_is_exact_and_its_values_are_unique():
    seen = set()
    for number in range(100):
        attempt = pending(APP, secret=number.to_bytes(32, "big"))
        query = dict(
            parse_qsl(
                urlsplit(authorization_url(APP, METADATA, attempt)).query, strict_parsing=True
            )
        )
        assert query["redirect_uri"] == "https://app.example/oauth2/callback"
        assert (query["response_type"], query["code_challenge_method"], query["scope"]) == (
            "code",
            "S256",
            "openid email",
        )
        assert (
            len(query["state"]) == 35
            and len(query["nonce"]) == 32
            and len(attempt.code_verifier) == 43
        )
        seen |= {query["state"], query["nonce"], attempt.code_verifier, query["code_challenge"]}
    assert len(seen) == 400


def test_the_authorization_endpoint_s_own_query_is_kept():
    metadata = replace(METADATA, authorization_endpoint=f"{ISSUER}/auth?p=B2C")
    assert authorization_url(APP, metadata, pending(APP)).startswith(
        f"{ISSUER}/auth?p=B2C&response_type=code&"
    )


@pytest.mark.parametrize(
    ("target", "kept"),
    [
        ("/explore?panes=" + "%7B%22a%22%3A1%7D" * 90, True),
        ("/" + "a" * 7999, True),
        ("/" + INCOMPRESSIBLE[:3400], True),
        ("/" + INCOMPRESSIBLE[:7999], False),
    ],
)
def test_a_long_address_is_kept_if_a_browser_keeps_its_cookie(target, kept):
    login = pending(APP, return_to=target)
    cookie = login_cookie(APP, login, ENTROPY_BYTES)
    assert len(cookie.name) + len(cookie.value) <= BROWSER_BYTES
    returned = request(cookie=f"{cookie.name}={cookie.value}")
    assert pending_of(APP, returned, login.state).return_to == (target if kept else "/")


def test_bytes_of_the_requested_page_are_kept():
    asked = request("/search?q=caf\u00c3\u00a9\\")
    assert requested_page(APP, asked) == "/search?q=caf%C3%A9%5C"


@pytest.mark.attack("COOK-27")
def test_logins_under_way_are_those_of_this_application_that_open_and_have_not_ended():
    other = application(name="other", url="https://app.example/other/")
    old, first, second = (pending(APP, secret=secret * 32, created=created) for secret, created in
                          ((b"0", NOW - LIFE - GRACE), (b"1", NOW - 9), (b"2", NOW - 8)))  # fmt: skip
    header = "; ".join([
        cookie_header(APP, first, old, second),
        cookie_header(other, pending(other, secret=b"3" * 32)),
        f"{APP.cookies.login(first.attempt)}=planted; {APP.cookies.login('0badbeef')}=junk",
    ])  # fmt: skip
    assert under_way(APP, request(cookie=header), NOW) == (second, first)
    assert under_way(APP, request(cookie=cookie_header(APP, first, first)), NOW) == (first,)
    assert under_way(APP, request(), NOW) == ()


@pytest.mark.attack("REL-33")
def test_of_many_login_cookies_the_newest_are_opened():
    attempts = [
        pending(APP, secret=number.to_bytes(32, "big"), created=NOW - 99 + number)
        for number in range(99)
    ]
    found = under_way(APP, request(cookie=cookie_header(APP, *attempts)), NOW)
    assert found == tuple(attempts[: -MAX_OPENED - 1 : -1])
