"""The authorization request, and the cookies of logins that are under way."""

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

from extproc.core.errors import StateMismatch
from extproc.core.login import (
    MAX_COOKIE_BYTES,
    MAX_COOKIES,
    authorization_url,
    crowded_out,
    login_cookie,
    pending_of,
    under_way,
)
from extproc.core.oidc.authorization import GRACE, LIFE

APP = application()
STATE = pending().state


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


@pytest.mark.attack("FLOW-12")
def test_login_cookies_are_capped_and_the_oldest_goes():
    attempts = [
        pending(APP, secret=bytes([n]) * 32, created=NOW + n, return_to="/")
        for n in range(MAX_COOKIES)
    ]
    new = login_cookie(APP, pending(APP, secret=b"n" * 32, created=NOW + 99), ENTROPY_BYTES)
    dropped = crowded_out(APP, request(cookie=cookie_header(APP, *attempts)), new)
    assert [cookie.name for cookie in dropped] == [APP.cookies.login(attempts[0].attempt)]
    assert all(cookie.value == "" and cookie.max_age == 0 and cookie.secure for cookie in dropped)


@pytest.mark.attack("FLOW-12")
def test_login_cookies_of_every_application_count_and_so_do_their_bytes():
    other = application(name="other-app", url="https://app.example/other/")
    attempts = [
        pending(other, secret=bytes([n]) * 32, created=NOW + n, return_to="/" + "x" * 1000)
        for n in range(4)
    ]
    header = cookie_header(other, *attempts)
    new = login_cookie(APP, pending(APP, secret=b"n" * 32), ENTROPY_BYTES)
    dropped = {
        cookie.name
        for cookie in crowded_out(
            APP, request(cookie=header + "; __Host-extproc-login-app-0badbeef=junk; a=b"), new
        )
    }
    kept = [pair for pair in header.split("; ") if pair.split("=")[0] not in dropped]
    assert "__Host-extproc-login-app-0badbeef" in dropped and kept
    assert sum(len(pair) + 2 for pair in kept) + len(new.name) + len(new.value) <= MAX_COOKIE_BYTES


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
    assert found == tuple(attempts[: -MAX_COOKIES - 1 : -1])
