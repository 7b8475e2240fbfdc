"""How sessions end: by the user for all applications, by the provider's request, by its frame.

Through a real Envoy, each in a store and in cookies. Requests that show whether a session is alive
have no assertion, because with one Envoy would accept the session until it expires, for up to a
minute.
"""

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until
from harness.tokens import Signer, public

from extproc.core.encoding import b64encode
from extproc.core.logout import MAX_URL
from extproc.core.oidc.logout_token import EVENT
from extproc.core.provider_logout import MAX_BODY
from extproc.relying_party.provider_logout import WAIT_FOR_KEYS

BACK, FORM = "/oauth2/backchannel-logout", "application/x-www-form-urlencoded"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", params=["sqlite", "cookie"])
def running(request):
    def settings(stack: Stack):
        cookie = {
            "kind": "cookie",
            "path": None,
            "tombstones": {"path": str(stack.directory / "over.sqlite3")},
        }
        app = {"upstream": stack.app.url, "provider": "main"}
        other = f"http://other.localhost:{stack.port}/"
        return {
            "store": cookie if request.param == "cookie" else {},
            "timeouts": {"call": 20, "callback": 60},
            "limits": {"provider_logout": 2 * WAIT_FOR_KEYS},
            "applications": {
                "wiki": {"hosts": ["localhost"], "path_prefix": "/wiki/", **app},
                "other": {"hosts": ["other.localhost"], "url": other, **app},
                "notes": {
                    "hosts": ["notes.localhost"],
                    "url": f"http://notes.localhost:{stack.port}/",
                    "session": {"logout": "local"},
                    **app,
                },
            },
        }

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


@pytest.fixture
def stack(running):
    """The module's gateway, with a user and a provider session that no other test has."""
    provider = running.provider
    provider.reset()
    running.app.requests.clear()
    number = next(NUMBERS)
    provider.user = f"user-{number}"
    provider.claims["sid"] = f"sid-{number}"
    return running


@pytest.fixture
def user(stack):
    with stack.user() as user:
        yield user


def signs_in(stack: Stack, user: WebUser, *paths: str) -> None:
    for path in paths or ("/private",):
        page = user.go(path if path.startswith("http:") else stack.url(path))
        assert (
            page.status_code == 200
            and ["x-auth-sub", stack.provider.user] in page.json()["headers"]
        ), user.journey()


def lives(stack: Stack, user: WebUser, path: str = "/private") -> bool:
    """Whether the session is accepted without its assertion.

    A navigation without a session starts a login.
    """
    for cookie in user.cookies.named("extproc-assertion-"):
        user.cookies.drop(cookie.name)
    answer = user.navigate(path if path.startswith("http:") else stack.url(path))
    assert answer.status_code in (200, 303), answer.text
    assert answer.status_code == 200 or answer.headers["location"].startswith(
        f"{stack.provider.issuer}/auth?"
    )
    return answer.status_code == 200


def logout_token(stack: Stack, header: dict | None = None, **changes) -> str:
    now, provider = int(time.time()), stack.provider
    claims = {
        "iss": provider.issuer,
        "aud": "gateway",
        "iat": now,
        "exp": now + 120,
        "jti": f"jti-{next(NUMBERS)}",
        "events": {EVENT: {}},
        "sub": provider.user,
        "sid": provider.claims.get("sid"),
        **changes,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    return provider.signer.sign(present, **{"typ": "logout+jwt", **(header or {})})


def posts(stack: Stack, token: str, *, path: str = BACK, **more) -> httpx.Response:
    form = {"logout_token": token, "other": "1"}
    return httpx.post(stack.url(path), data=form, trust_env=False, timeout=60, **more)


def is_refused(answer: httpx.Response, status: int, reason: str) -> bool:
    body = {
        "error": "invalid_request" if status < 500 else "temporarily_unavailable",
        "error_description": reason,
    }
    assert (answer.status_code, answer.json()) == (status, body)
    assert answer.headers["cache-control"] == "no-store" and "set-cookie" not in answer.headers
    return True


@pytest.mark.attack("LOGO-05", "LOGO-16", "LOGO-19")
@pytest.mark.threat("ended-session")
@pytest.mark.parametrize("by", ["sid", "sub"])
def test_the_provider_ends_the_sessions_of_every_application_at_once(stack, user, by):
    other = f"http://other.localhost:{stack.port}/"
    paths = ("/private", "/wiki/", other)
    signs_in(stack, user, *paths)
    with stack.user() as elsewhere, stack.user() as stranger:
        mine, stack.provider.claims["sid"] = stack.provider.claims["sid"], "at another device"
        signs_in(stack, elsewhere)
        name, stack.provider.user = stack.provider.user, f"{stack.provider.user}-not"
        signs_in(stack, stranger)
        stack.provider.user = name
        answer = posts(stack, logout_token(stack, sid=mine if by == "sid" else None))
        assert (answer.status_code, answer.content) == (200, b"") and answer.headers[
            "cache-control"
        ] == "no-store"
        assert "set-cookie" not in answer.headers
        assert [lives(stack, user, path) for path in paths] == [False, False, False]
        assert lives(stack, elsewhere) == (by == "sid") and lives(stack, stranger)


@pytest.mark.attack("LOGO-16")
@pytest.mark.threat("ended-session")
def test_a_token_with_sid_and_sub_also_ends_the_user_s_sessions_that_have_no_sid(stack, user):
    """Providers put sid into logout tokens and into ID tokens by different settings."""
    sid = stack.provider.claims.pop("sid")
    signs_in(stack, user)
    with stack.user() as elsewhere, stack.user() as stranger:
        stack.provider.claims["sid"] = "at another device"
        signs_in(stack, elsewhere)
        name, stack.provider.user = stack.provider.user, f"{stack.provider.user}-not"
        del stack.provider.claims["sid"]
        signs_in(stack, stranger)
        stack.provider.user = name
        assert posts(stack, logout_token(stack, sid=sid)).status_code == 200
        assert not lives(stack, user) and lives(stack, elsewhere) and lives(stack, stranger)
    assert posts(stack, logout_token(stack, sid=sid)).status_code == 200
    # In cookies it is unknown how many sessions ended.
    warned = "backchannel_logout_ended_nothing" in stack.extproc.output()
    assert warned == ("kind" not in stack.settings["store"])


def test_a_user_s_logout_ends_no_session_of_another_user_with_the_same_sid(stack, user):
    """A provider's sid may be that of its browser session, in which users change."""
    other = f"http://other.localhost:{stack.port}/"
    signs_in(stack, user, "/private", other)
    with stack.user() as mallory:
        name, stack.provider.user = stack.provider.user, f"{stack.provider.user}-mallory"
        signs_in(stack, mallory, "/private", other)
        mallory.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
        assert [lives(stack, mallory, path) for path in ("/private", other)] == [False, False]
        stack.provider.user = name
        assert [lives(stack, user, path) for path in ("/private", other)] == [True, True]


def test_a_login_right_after_a_logout_counts_although_its_sid_is_the_same(stack, user):
    for _ in range(5):
        signs_in(stack, user)
        user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
    signs_in(stack, user)
    assert posts(stack, logout_token(stack)).status_code == 200 and not lives(stack, user)
    signs_in(stack, user)
    assert lives(stack, user)


@pytest.mark.threat("ended-session")
def test_the_fast_path_ends_with_the_assertion_which_lives_a_minute(stack, user):
    signs_in(stack, user)
    assertion = user.cookies.get("extproc-assertion-app")
    # The browser drops the assertion before Envoy would refuse it.
    assert 0 < assertion.expires - time.time() <= 45
    assert posts(stack, logout_token(stack)).status_code == 200
    before = stack.streams()
    assert user.navigate(stack.url("/private")).status_code == 200 and stack.streams() == before
    assert not lives(stack, user)


@pytest.mark.attack("LOGO-17")
def test_what_is_over_or_was_never_there_is_a_success(stack):
    for _ in range(2):
        assert posts(stack, logout_token(stack, sid="nobody's")).status_code == 200


def test_a_token_is_carried_out_once(stack, user):
    token = logout_token(stack)
    assert posts(stack, token).status_code == 200
    assert is_refused(posts(stack, token), 400, "logout_token_replayed")
    assert is_refused(posts(stack, token, path="/wiki" + BACK), 400, "logout_token_replayed")
    assert posts(stack, logout_token(stack), path="/wiki" + BACK).status_code == 200


@pytest.mark.attack("LOGO-06", "LOGO-07", "LOGO-08", "LOGO-10", "LOGO-12", "LOGO-13")
@pytest.mark.parametrize(
    ("row", "token", "reason"),
    [
        ("logo_06", lambda stack: logout_token(stack, {"alg": "none"}), "logout_token_algorithm"),
        ("logo_07", lambda stack: Signer("ES256").sign({"iss": "x"}), "logout_token_algorithm"),
        (
            "logo_08",
            lambda stack: logout_token(stack, iss="https://evil.example"),
            "logout_token_issuer",
        ),
        ("logo_08", lambda stack: logout_token(stack, aud="another"), "logout_token_audience"),
        ("logo_10", lambda stack: logout_token(stack, nonce="n"), "logout_token_nonce"),
        ("logo_12", lambda stack: logout_token(stack, events=None), "logout_token_events"),
        (
            "logo_12",
            lambda stack: logout_token(stack, events={EVENT: "yes"}),
            "logout_token_events",
        ),
        ("logo_12", lambda stack: logout_token(stack, sub=None, sid=None), "logout_token_subject"),
        ("logo_12", lambda stack: logout_token(stack, {"typ": "at+jwt"}), "logout_token_type"),
        ("logo_13", lambda stack: logout_token(stack, jti=None), "logout_token_jti"),
        (
            "logo_13",
            lambda stack: logout_token(stack, exp=int(time.time()) - 61),
            "logout_token_expired",
        ),
        (
            "logo_13",
            lambda stack: logout_token(stack, iat=int(time.time()) - 4000),
            "logout_token_issued_at",
        ),
    ],
)
def test_a_token_that_is_not_right_ends_nothing(stack, user, row, token, reason):
    signs_in(stack, user)
    assert is_refused(posts(stack, token(stack)), 400, reason)
    assert lives(stack, user)


@pytest.mark.attack("LOGO-05")
@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ({"method": "GET"}, 405, "method_not_allowed"),
        ({"json": {"logout_token": "a.b.c"}}, 400, "invalid_logout_request"),
        ({"content": b"logout_token=a.b.c"}, 400, "invalid_logout_request"),
        ({"headers": {"content-type": FORM}}, 400, "invalid_logout_request"),
        ({"data": {"token": "a.b.c"}}, 400, "invalid_logout_request"),
        ({"data": {"logout_token": ["a", "b"]}}, 400, "invalid_logout_request"),
        ({"data": {"logout_token": "a.b.c"}}, 400, "logout_token_malformed"),
        ({"data": {"logout_token": "a" * MAX_BODY}}, 413, "body_too_large"),
    ],
)
def test_a_request_that_is_no_logout_is_told_so_in_json(stack, how, status, reason):
    answer = httpx.request(**{"method": "POST", "url": stack.url(BACK), "trust_env": False, **how})
    assert is_refused(answer, status, reason) and not stack.app.requests


@pytest.mark.parametrize("pieces", [2, 48])
def test_a_body_whose_length_nobody_said_is_read_up_to_a_limit_and_reaches_nobody(stack, pieces):
    """Two pieces, and 48, which are more than Envoy buffers, so that it answers itself."""

    def much():
        for _ in range(pieces):
            yield b"a" * 65_536

    answer = httpx.post(
        stack.url(BACK), content=much(), headers={"content-type": FORM}, trust_env=False
    )
    assert answer.status_code == 413 and not stack.app.requests
    assert posts(stack, logout_token(stack)).status_code == 200


def test_a_body_in_pieces_is_read_whole(stack, user):
    signs_in(stack, user)
    form = urlencode({"logout_token": logout_token(stack)}).encode()

    def pieces():
        for start in range(0, len(form), 100):
            yield form[start : start + 100]

    answer = httpx.post(
        stack.url(BACK), content=pieces(), headers={"content-type": FORM}, trust_env=False
    )
    assert answer.status_code == 200 and not lives(stack, user)


def test_a_browser_s_cookies_and_pages_change_nothing_about_it(stack, user):
    signs_in(stack, user)
    answer = user.navigate(
        stack.url(BACK), "POST", page=stack.url("/"), content=b"logout_token=a.b.c"
    )
    assert is_refused(answer, 400, "logout_token_malformed") and lives(stack, user)
    assert is_refused(user.navigate(stack.url(BACK)), 405, "method_not_allowed")


@pytest.mark.attack("LOGO-22")
def test_a_key_that_is_new_is_fetched_once_and_random_ones_are_not_looked_for_each_time(
    stack, user
):
    signs_in(stack, user)
    provider = stack.provider
    provider.signer = Signer(name="2")
    assert len(provider.requests_to("/jwks")) == 0
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda kid: posts(stack, logout_token(stack, {"kid": kid})), map(str, range(40))
            )
        )
    for answer in answers:
        # refused for good only by a fetch that began after the token had come
        assert (
            is_refused(answer, 400, "logout_token_key")
            if answer.status_code == 400
            else is_pending(answer)
        )
    assert len(provider.requests_to("/jwks")) <= 1 and lives(stack, user)


def is_pending(answer: httpx.Response) -> bool:
    assert is_refused(answer, 503, "logout_token_key_pending")
    return int(answer.headers["retry-after"]) > 0


def unsigned(kid: str = "made up") -> str:
    """A token that a stranger writes down: it says nothing, and no key has signed it."""
    header = b64encode(json.dumps({"alg": "RS256", "kid": kid}).encode())
    return f"{header}.{b64encode(b'{}')}.{b64encode(b'{}')}"


@pytest.mark.attack("LOGO-22")
@pytest.mark.threat("ended-session")
# No store plays a part in it.
@pytest.mark.parametrize("running", ["sqlite"], indirect=True)
def test_a_stranger_s_token_does_not_make_the_processor_refuse_that_of_a_new_key(stack, user):
    """The stranger's token that says nothing causes no fetch; one with everything right but its key
    spends no fetch of a login, and the provider's own token is never refused for good meanwhile.
    """
    signs_in(stack, user)
    provider = stack.provider
    assert is_refused(posts(stack, unsigned()), 400, "logout_token_issuer")
    assert not provider.requests_to("/jwks")
    made_up = logout_token(stack, {"kid": "made up"})
    # Refused for good: a fetch has just ended, and for ten seconds there is no other. An earlier
    # test may have begun such a time as well.
    wait_until(lambda: posts(stack, made_up).status_code == 400, what="a fetch", every=0.5)
    provider.signer = Signer(name=f"turned-{next(NUMBERS)}")
    # The earlier key stays, for the tests that follow.
    provider.keys.append(public("RS256", provider.signer.name))
    provider.forget()
    token = logout_token(stack)
    assert is_pending(posts(stack, token)) and not provider.requests_to("/jwks")
    with stack.user() as another:
        provider.user = f"{provider.user}-another"
        provider.claims["sid"] = "another"
        signs_in(stack, another)
    assert len(provider.requests_to("/jwks")) == 1
    assert posts(stack, token).status_code == 200 and not lives(stack, user)


@pytest.mark.attack("LOGO-22")
# No store plays a part in it.
@pytest.mark.parametrize("running", ["sqlite"], indirect=True)
def test_tokens_that_wait_for_a_slow_key_set_leave_permits_for_those_of_known_keys(stack, user):
    signs_in(stack, user)
    junk = [logout_token(stack, {"kid": f"made up {number}"}) for number in range(40)]
    with ThreadPoolExecutor(80) as pool, stack.provider.holding("/jwks"):
        posted = []

        def is_fetching() -> bool:
            # an earlier test may have begun a cool-down
            posted.append(pool.submit(posts, stack, junk[0]))
            return bool(stack.provider.held)

        wait_until(is_fetching, what="the key set", every=0.5)
        posted += [pool.submit(posts, stack, token) for token in junk]
        most = len(posted) - WAIT_FOR_KEYS
        wait_until(lambda: sum(post.done() for post in posted) >= most, what="all others")
        assert posts(stack, logout_token(stack)).status_code == 200 and not lives(stack, user)
        fetches = len(stack.provider.requests_to("/jwks"))
        assert stack.provider.held and fetches == 1, "the key set is still on its way"


@pytest.mark.parametrize("claim", ["sid", "jti"])
@pytest.mark.parametrize("text", ["half a pair \ud800", "\x1b]0;owned\x07", "two\r\nlines"])
def test_a_text_that_cannot_be_printed_is_refused_as_a_provider_s_fault(stack, user, claim, text):
    signs_in(stack, user)
    answer = posts(stack, logout_token(stack, **{claim: text}))
    assert is_refused(answer, 400, f"logout_token_{claim}") and lives(stack, user)
    assert "internal_error" not in stack.extproc.output()


@pytest.mark.attack("REL-15")
def test_a_store_that_cannot_answer_is_503_and_the_same_token_may_come_again(stack, user):
    import sqlite3

    signs_in(stack, user)
    token = logout_token(stack)
    name = "over.sqlite3" if "kind" in stack.settings["store"] else "extproc.sqlite3"
    with sqlite3.connect(stack.directory / name, isolation_level=None) as locked:
        locked.execute("BEGIN EXCLUSIVE")
        answer = posts(stack, token)
        locked.execute("ROLLBACK")
    locked.close()
    assert is_refused(answer, 503, "store_unavailable") and int(answer.headers["retry-after"]) > 0
    assert posts(stack, token).status_code == 200 and not lives(stack, user)


def test_a_login_that_is_under_way_when_its_user_is_signed_out_ends_too(stack, user):
    """The logout comes between the redeemed code and the stored session."""
    started = user.navigate(stack.url("/private"))
    callback = user.navigate(started.headers["location"]).headers["location"]
    with ThreadPoolExecutor(1) as pool:
        with stack.provider.holding("/me"):
            login = pool.submit(lambda: user.navigate(callback))
            wait_until(lambda: stack.provider.held, what="the callback")
            assert posts(stack, logout_token(stack, sid=None)).status_code == 200
        answer = login.result(60)
    assert (
        answer.status_code == 400
        and ">signed_out_meanwhile<" in answer.text
        and stack.provider.revoked
    )
    assert "/oauth2/login?return_to=/private" in answer.text
    assert not lives(stack, user)


# -- by the user


@pytest.mark.attack("LOGO-01", "LOGO-21")
def test_a_logout_ends_all_of_this_browser_s_sessions_with_the_provider(stack, user):
    paths = ("/private", "/wiki/", f"http://other.localhost:{stack.port}/")
    signs_in(stack, user, *paths)
    copies = {cookie.name: cookie.value for cookie in user.cookies.named("extproc-session-")}
    with stack.user() as elsewhere:
        mine, stack.provider.claims["sid"] = stack.provider.claims["sid"], "elsewhere"
        signs_in(stack, elsewhere)
        stack.provider.claims["sid"] = mine
        out = user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
        query = dict(parse_qsl(urlsplit(out.headers["location"]).query))
        assert set(query) == {"id_token_hint", "client_id", "post_logout_redirect_uri", "state"}
        assert (
            query["post_logout_redirect_uri"] == stack.url("/oauth2/signed-out")
            and len(query["state"]) >= 16
        )
        left = {(cookie.host, cookie.name) for cookie in user.cookies.named("extproc-session-")}
        # Its cookie was not in the request, because it is on another host.
        assert left == {("other.localhost", "extproc-session-other")}
        assert [lives(stack, user, path) for path in paths] == [False, False, False]
        assert lives(stack, elsewhere)
    for name, value in copies.items():
        path = {"app": "/private", "wiki": "/wiki/"}.get(name.rpartition("-")[2])
        if path is not None:
            headers = {"cookie": f"{name}={value}", "accept": "application/json"}
            assert httpx.get(stack.url(path), headers=headers, trust_env=False).status_code == 401
    # The refresh tokens of the two sessions whose cookies were in the request.
    assert len(stack.provider.revoked) == 2 and all(
        token.startswith("rt-") for token in stack.provider.revoked
    )
    (first, _) = stack.provider.requests_to("/revoke")
    assert first.form["token_type_hint"] == "refresh_token" and first.headers[
        "authorization"
    ].startswith("Basic ")


@pytest.mark.attack("LOGO-01")
def test_a_large_id_token_makes_no_address_that_is_too_long_for_the_provider(stack, user):
    """Providers and proxies refuse long addresses; the client's id stands for the token."""
    stack.provider.claims["note"] = "x" * 6000
    signs_in(stack, user)
    out = user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
    location = out.headers["location"]
    assert location.startswith(f"{stack.provider.issuer}/logout?") and len(location) <= MAX_URL
    query = dict(parse_qsl(urlsplit(location).query))
    assert set(query) == {"client_id", "post_logout_redirect_uri", "state"}
    assert not lives(stack, user)


@pytest.mark.attack("LOGO-21")
def test_a_provider_that_does_not_revoke_stops_no_logout(stack, user):
    signs_in(stack, user)
    stack.provider.answers["/revoke"] = lambda asked: (500, {}, b"")
    out = user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
    assert out.headers["location"].startswith(f"{stack.provider.issuer}/logout?") and not lives(
        stack, user
    )
    assert len(stack.provider.requests_to("/revoke")) == 1


@pytest.mark.attack("LOGO-21")
def test_a_revocation_that_hangs_is_given_up_and_the_session_ended_before_it(stack, user):
    signs_in(stack, user)
    with stack.user() as copy, stack.provider.holding("/revoke"):
        for cookie in user.cookies.named("extproc-session-"):
            copy.cookies.put(cookie)
        with ThreadPoolExecutor(1) as pool:
            out = pool.submit(
                lambda: user.navigate(
                    stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b""
                )
            )
            wait_until(lambda: stack.provider.held, what="the revocation")
            assert not out.done() and not lives(stack, copy)
            # The provider still holds the other call.
            answer = out.result(60)
        assert answer.headers["location"].startswith(f"{stack.provider.issuer}/logout?")


@pytest.mark.parametrize("setting", ["logout_uri", "off"])
def test_a_logout_goes_to_the_provider_as_the_settings_say(setting):
    """As AWS Cognito wants it, and not at all."""
    with Stack(FakeProvider(client={"end_session": setting})) as stack, stack.user() as user:
        signs_in(stack, user)
        out = user.navigate(stack.url("/oauth2/logout"), page=stack.url("/private"))
        location = urlsplit(out.headers["location"])
        here = stack.url("/oauth2/signed-out")
        if setting == "off":
            assert out.headers["location"] == here
        else:
            assert location.path == "/logout" and dict(parse_qsl(location.query)) == {
                "client_id": "gateway",
                "logout_uri": here,
            }
        assert not lives(stack, user)


# -- in a frame


def framed(stack: Stack, user: WebUser, cross: bool = True, **query: str) -> httpx.Response:
    """What a browser sends when a page of the provider frames the gateway's logout address."""
    url = stack.url(f"/oauth2/frontchannel-logout?{urlencode(query)}")
    return user.frame(url, cross_site=cross)


@pytest.mark.attack("LOGO-03")
@pytest.mark.parametrize("cross", [True, False])
def test_a_frame_ends_the_session_it_names(stack, user, cross):
    signs_in(stack, user, "/private", "/wiki/")
    # The second time there is nothing to end, which succeeds as well.
    for _ in range(2):
        answer = framed(
            stack, user, cross, iss=stack.provider.issuer, sid=stack.provider.claims["sid"]
        )
        assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
        assert (
            f"frame-ancestors {stack.provider.issuer}" in answer.headers["content-security-policy"]
        )
        assert "x-frame-options" not in answer.headers
    in_store = "kind" not in stack.settings["store"]
    # A browser sends no cookies from a frame on another site, and a session in cookies is known
    # only by them.
    over = in_store or not cross
    assert [lives(stack, user), lives(stack, user, "/wiki/")] == [not over, not over]


@pytest.mark.attack("LOGO-03")
@pytest.mark.threat("ended-session")
def test_a_frame_of_anybody_s_ends_nothing(stack, user):
    signs_in(stack, user)
    issuer, sid = stack.provider.issuer, stack.provider.claims["sid"]
    for query in ({}, {"iss": issuer}, {"sid": sid}, {"iss": "https://evil.example", "sid": sid}):
        for cross in (True, False):
            answer = framed(stack, user, cross, **query)
            assert answer.status_code == 400 and ">invalid_logout_request<" in answer.text
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert framed(stack, user, iss=issuer, sid="a guess").status_code == 200
    assert lives(stack, user)


@pytest.mark.attack("LOGO-03")
@pytest.mark.threat("ended-session")
@pytest.mark.parametrize("setting", [None, "browser"])
def test_a_stranger_who_knows_a_sid_ends_nothing_unless_the_settings_trust_it(setting):
    """Off by default; `browser` needs the cookie of the session that the address names."""
    client = {"frontchannel_logout": setting or "off"}
    with Stack(FakeProvider(client=client)) as stack, stack.user() as user, stack.user() as bob:
        stack.provider.claims["sid"] = "known-to-others"
        signs_in(stack, user)
        named = {"iss": stack.provider.issuer, "sid": "known-to-others"}
        url = stack.url(f"/oauth2/frontchannel-logout?{urlencode(named)}")
        assert httpx.get(url, trust_env=False).status_code == (200 if setting else 404)
        framed(stack, bob, **named)
        framed(stack, user, cross=True, **named)
        assert lives(stack, user)
        # On the same site the frame has the session's cookie.
        framed(stack, user, cross=False, **named)
        assert lives(stack, user) == (setting is None)


# -- not requested by the user


BY_NOBODY = {
    "a framework's prefetch": {"mode": "cors", "dest": "empty", "purpose": "prefetch"},
    "a framework's prefetch of today": {"mode": "cors", "dest": "empty", "next-router-prefetch": "1"},
    "a picture": {"mode": "no-cors", "dest": "image", "accept": "image/avif,image/webp,*/*"},
    "an address that is being typed": {"mode": "navigate", "dest": "document", "site": "none", "sec-purpose": "prefetch;prerender"},
    "speculation rules": {"mode": "navigate", "dest": "document", "sec-purpose": "prefetch;anonymous-client-ip"},
    "a frame": {"mode": "navigate", "dest": "iframe"},
    "a frame through a service worker": {"mode": "navigate", "dest": "empty"},
    "a style sheet": {"mode": "no-cors", "dest": "style", "accept": "text/css,*/*;q=0.1"},
}  # fmt: skip


def by_nobody(head: dict[str, str]) -> dict[str, str]:
    headers = {"site": "same-origin", "accept": "text/html", **head}
    return {
        f"sec-fetch-{name}" if name in ("site", "mode", "dest") else name: value
        for name, value in headers.items()
    }


@pytest.mark.attack("WEB-19")
def test_a_get_that_no_person_made_ends_nothing_and_sets_nothing(stack, user):
    signs_in(stack, user, "/private", "/wiki/")
    for way, head in BY_NOBODY.items():
        answer = user.request("GET", stack.url("/oauth2/logout"), headers=by_nobody(head))
        reason = (
            "user_navigation_required"
            if {"purpose", "sec-purpose"} & set(head)
            else "logout_confirmation"
        )
        stack.access_log(lambda line, reason=reason: line["reason"] == reason)
        assert answer.status_code == (403 if reason == "user_navigation_required" else 200), (
            way,
            answer.text,
        )
        assert "set-cookie" not in answer.headers, way
    assert stack.provider.revoked == [] and lives(stack, user) and lives(stack, user, "/wiki/")
    out = user.navigate(stack.url("/oauth2/logout"), page=stack.url("/private"))
    assert out.headers["location"].startswith(f"{stack.provider.issuer}/logout?") and not lives(
        stack, user
    )


@pytest.mark.attack("WEB-19")
def test_a_callback_that_no_person_brought_spends_nothing_and_the_person_s_own_signs_in(
    stack, user
):
    answer = user.navigate(stack.url("/private?a=1"))
    callback = user.navigate(answer.headers["location"]).headers["location"]
    for way, head in BY_NOBODY.items():
        if way == "a frame through a service worker":
            # A service worker of the page knows state and code.
            continue
        answer = user.request("GET", callback, headers=by_nobody(head))
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), (
            way,
            answer.text,
        )
        # The address still has a valid code.
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert stack.provider.requests_to("/token") == []
    assert user.navigate(callback).headers["location"] == stack.url("/private?a=1") and lives(
        stack, user
    )


@pytest.mark.attack("LOGO-03")
def test_what_is_no_frame_ends_nothing(stack, user):
    signs_in(stack, user)
    query = urlencode({"iss": stack.provider.issuer, "sid": stack.provider.claims["sid"]})
    for way, head in BY_NOBODY.items():
        if "frame" in way.split():
            continue
        answer = user.request(
            "GET", stack.url(f"/oauth2/frontchannel-logout?{query}"), headers=by_nobody(head)
        )
        assert (answer.status_code, "set-cookie" in answer.headers) == (400, False), (
            way,
            answer.text,
        )
    assert lives(stack, user)


@pytest.mark.attack("WEB-11")
def test_the_page_that_asks_signs_out_where_a_browser_sends_no_fetch_metadata(stack):
    with WebUser(fetch_metadata=False) as user:
        signs_in(stack, user)
        page = user.navigate(stack.url("/oauth2/logout"))
        assert (page.status_code, page.headers["referrer-policy"]) == (
            200,
            "same-origin",
        ) and "Sign out?" in page.text
        # A form of another site, and one that hides its origin.
        for elsewhere in ("http://evil.localhost/", None):
            evil = user.navigate(stack.url("/oauth2/logout"), "POST", page=elsewhere, content=b"")
            assert (evil.status_code, "set-cookie" in evil.headers) == (403, False)
        assert lives(stack, user)
        out = user.submit(page)
        assert out.status_code == 303 and out.headers["location"].startswith(
            f"{stack.provider.issuer}/logout?"
        )
        assert "sec-fetch-mode" not in user.hops[-1].sent and not lives(stack, user)


def test_a_local_logout_ends_the_session_here_and_neither_another_nor_the_provider_s(stack, user):
    notes = f"http://notes.localhost:{stack.port}/"
    signs_in(stack, user, "/private", notes)
    out = user.navigate(f"{notes}oauth2/logout", "POST", page=notes, content=b"")
    assert (out.status_code, out.headers["location"]) == (303, f"{notes}oauth2/signed-out")
    assert not lives(stack, user, notes) and lives(stack, user)
    # The session at the provider is still there: no page of it is shown on the way back.
    signs_in(stack, user, notes)
