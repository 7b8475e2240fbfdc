"""A login through a real Envoy with one worker, at a fake provider behind that Envoy."""

import json
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from ipaddress import ip_address
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import stored_sessions, to_callback
from harness.processes import wait_until
from harness.tokens import Signer

from extproc.core.http import OF_SCRIPTS
from extproc.core.login_budget import BURST_BYTES, BURST_COOKIES
from extproc.core.sealing import KeyRing
from extproc.core.session_index import open_entry


@pytest.fixture(scope="module")
def running():
    with Stack(FakeProvider(), settings={"timeouts": {"callback": 12, "call": 6}}) as stack:
        yield stack


def denied(
    stack: Stack, user, status: int | None = None, reason: str | None = None, path: str = "/private"
) -> httpx.Response:
    """The outcome DENY of the attack catalogue.

    The user gets a page of the gateway, no session, and loses the login cookie. The application
    receives nothing.
    """
    answer = user.navigate(to_callback(stack, user, path))
    assert (
        400 <= answer.status_code < 600
        and answer.headers["cache-control"] == "no-store"
        and len(answer.headers["x-trace-id"]) == 32
    )
    assert answer.headers["x-trace-id"] in answer.text
    if reason is not None:
        assert (answer.status_code, f">{reason}<" in answer.text) == (status, True), answer.text
    assert not list(user.cookies.named("extproc-")) and not stack.app.requests
    return answer


def test_a_login_ends_on_the_page_first_asked_for(stack):
    with stack.user() as user:
        page = user.go(stack.url("/a%20b/c;d=1?x=1&x=2&y=&next=%2F%2Fevil"))
        assert page.json()["target"] == "/a%20b/c;d=1?x=1&x=2&y=&next=%2F%2Fevil"
        headers = dict(page.json()["headers"])
        assert (
            headers["x-auth-sub"],
            headers["x-auth-email"],
            headers["x-auth-name"],
            headers["x-auth-groups"],
        ) == (
            "alice",
            "alice@example.com",
            "Alice",
            "dev",
        )
        assert "extproc-" not in headers.get("cookie", "")


def test_the_fast_path_and_the_processor_give_the_same_bytes(stack):
    odd = "Zoë, \u0000\r\nx-auth-sub: evil; 100% 😀 "
    stack.provider.userinfo["name"], stack.provider.claims["groups"] = odd, ["a,admin", "ü", " b "]
    with stack.user() as user:
        user.go(stack.url("/private"))
        streams = stack.streams()
        fast = user.navigate(stack.url("/fast")).json()
        assert stack.streams() == streams
        user.cookies.drop("extproc-assertion-app")
        slow = user.navigate(stack.url("/slow")).json()
        assert stack.streams() == streams + 1
        pick = lambda page: sorted((n, v) for n, v in page["headers"] if n.startswith("x-auth"))  # noqa: E731
        assert pick(fast) == pick(slow) and len(pick(fast)) == 4
        assert (
            dict(fast["headers"])["x-auth-name"]
            == "Zo%C3%AB%2C %00%0D%0Ax-auth-sub: evil; 100%25 %F0%9F%98%80%20"
        )
        assert dict(fast["headers"])["x-auth-groups"] == "a%2Cadmin,%C3%BC,%20b%20"


def test_a_renewed_assertion_on_a_cacheable_answer_makes_it_private(stack):
    with stack.user() as user:
        user.go(stack.url("/private"))
        user.cookies.drop("extproc-assertion-app")
        renewed = user.navigate(stack.url("/page?echo-cache=600"))
        assert "private" in renewed.headers["cache-control"].split(",")
        assert user.cookies.get("extproc-assertion-app")
        fast = user.navigate(stack.url("/page?echo-cache=600"))
        assert (
            fast.headers["cache-control"] == "public, max-age=600"
            and "set-cookie" not in fast.headers
        )


@pytest.mark.attack("CONF-01")
def test_the_requests_to_the_provider_are_well_formed(stack):
    with stack.user() as user:
        user.go(stack.url("/private"))
    (token,), (me,) = stack.provider.requests_to("/token"), stack.provider.requests_to("/me")
    assert (
        token.form["grant_type"] == "authorization_code"
        and token.headers["content-type"] == "application/x-www-form-urlencoded"
    )
    assert token.headers["authorization"].startswith("Basic ") and "client_secret" not in token.form
    assert me.headers["authorization"].startswith("Bearer at-alice-") and not me.query
    assert (
        token.headers["traceparent"][3:35] == me.headers["traceparent"][3:35]
        and "baggage" not in token.headers
    )


LIES = {
    "conf_02_iss": ({"iss": "https://evil.example"}, "id_token_issuer"),
    "conf_03_sub": ({"sub": None}, "id_token_subject"),
    "conf_04_aud": ({"aud": "another"}, "id_token_audience"),
    "conf_05_iat": ({"iat": None}, "id_token_issued_at"),
    "conf_12_nonce": ({"nonce": "planted"}, "id_token_nonce"),
    "conf_23_aud": ({"aud": None}, "id_token_audience"),
    "fapi_05_exp": ({"exp": 1}, "id_token_expired"),
    "idt_18_at_hash": ({"at_hash": "x"}, "id_token_at_hash"),
}


@pytest.mark.attack(
    "CONF-02", "CONF-03", "CONF-04", "CONF-05", "CONF-12", "CONF-23", "FAPI-05", "IDT-18"
)
@pytest.mark.threat("id-token")
@pytest.mark.parametrize("row", LIES)
def test_a_lying_id_token_is_denied_and_its_tokens_revoked(stack, row):
    changes, reason = LIES[row]
    stack.provider.claims.update(changes)
    with stack.user() as user:
        denied(stack, user, 502, reason)
    assert len(stack.provider.revoked) == 1 and stack.provider.revoked[0].startswith("rt-")


@pytest.mark.parametrize(
    "members",
    [{"token_type": "mac"}, {"id_token": None}, {"access_token": None}, {"expires_in": "soon"}, {"id_token": ""}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("status", [200, 201])
def test_the_tokens_of_a_response_that_is_refused_are_revoked(stack, members, status):
    def answer(request):
        _, headers, body = stack.provider.truthful(request)
        said = {**json.loads(body), **members}
        kept = {name: value for name, value in said.items() if value is not None}
        return status, headers, json.dumps(kept).encode()

    stack.provider.answers["/token"] = answer
    with stack.user() as user:
        denied(stack, user, 502, "invalid_token_response")
    assert len(stack.provider.revoked) == 1 and stack.provider.revoked[0].startswith("rt-")


def test_userinfo_without_a_subject_is_not_called_another_users(stack):
    stack.provider.userinfo["sub"] = None
    with stack.user() as user:
        denied(stack, user, 502, "invalid_userinfo")
    assert "UserInfo has no sub" in stack.extproc.output()


@pytest.mark.attack("CONF-09", "CONF-10")
@pytest.mark.threat("id-token")
def test_unsigned_and_badly_signed_tokens_are_denied(stack):
    with stack.user() as user:
        stack.provider.header["alg"] = "none"
        denied(stack, user, 502, "id_token_algorithm")
        stack.provider.header.clear()
        stack.provider.signer = Signer("RS256", "attacker")
        stack.provider.header["kid"] = "RS256-1"
        denied(stack, user, 502, "id_token_signature")


@pytest.mark.attack("CONF-11")
def test_userinfo_of_another_subject_is_denied(stack):
    stack.provider.userinfo["sub"] = "bob"
    with stack.user() as user:
        denied(stack, user, 502, "userinfo_subject_mismatch")


@pytest.mark.attack("FLOW-15")
@pytest.mark.parametrize(
    ("error", "status"),
    [
        ("access_denied", 403),
        ("login_required", 403),
        ("temporarily_unavailable", 503),
        ("server_error", 502),
        ("invalid_scope", 502),
    ],
)
def test_a_provider_s_error_is_our_page_and_no_token_call(stack, error, status):
    stack.provider.callback.update(
        {"error": error, "code": None, "error_description": '"><script>alert(1)</script>'}
    )
    with stack.user() as user:
        page = denied(stack, user, status, f"provider_{error}")
    # The only script is the page's own.
    assert (
        not stack.provider.requests_to("/token")
        and page.text.count("<script") == 1
        and "alert(1)" not in page.text
    )


EXPIRED = "error=temporarily_unavailable&error_description=authentication_expired&state="


def state_of(started: httpx.Response) -> str:
    return parse_qs(urlsplit(started.headers["location"]).query)["state"][0]


def test_a_login_that_expired_at_the_provider_is_started_again_once(stack):
    """Keycloak answers so when its page was left open."""
    with stack.user() as user:
        state = state_of(user.navigate(stack.url("/wanted")))
        again = user.navigate(stack.url(f"/oauth2/callback?{EXPIRED}{state}"))
        assert again.status_code == 303
        assert again.headers["location"].startswith(f"{stack.provider.issuer}/auth?")
        assert len(list(user.cookies.named("extproc-login-"))) == 1
        answer = user.navigate(stack.url(f"/oauth2/callback?{EXPIRED}{state_of(again)}"))
        assert answer.status_code == 503
        assert ">provider_temporarily_unavailable<" in answer.text
        state = state_of(user.navigate(stack.url("/wanted")))
        again = user.navigate(stack.url(f"/oauth2/callback?{EXPIRED}{state}"))
        callback = user.navigate(again.headers["location"]).headers["location"]
        assert user.navigate(callback).headers["location"] == stack.url("/wanted")


def test_a_login_that_expired_at_the_provider_is_no_error_in_a_browser_that_is_signed_in(stack):
    with stack.user() as user:
        state = state_of(user.navigate(stack.url("/wanted?tab=1")))
        user.go(stack.url("/private"))
        before = user.cookies.get("extproc-session-app").value
        answer = user.navigate(stack.url(f"/oauth2/callback?{EXPIRED}{state}"))
        assert answer.headers["location"] == stack.url("/wanted?tab=1")
        assert user.cookies.get("extproc-session-app").value == before
        assert not list(user.cookies.named("extproc-login-"))


@pytest.mark.parametrize(
    "query",
    ["{}&", "?&{}", "&&{}&&", "{}&sso_reload", "{}&x=%E8", "{}&=&=1"],
)
def test_what_a_provider_adds_to_the_callback_does_not_matter(stack, query):
    with stack.user() as user:
        address, _, asked = to_callback(stack, user).partition("?")
        answer = user.navigate(f"{address}?{query.format(asked)}")
        assert answer.headers["location"] == stack.url("/private")


def test_a_refusal_is_shown_whatever_language_describes_it(stack):
    error = "error=access_denied&error_description=Acc%E8s+refus%E9&state="
    with stack.user() as user:
        state = state_of(user.navigate(stack.url("/private")))
        answer = user.navigate(stack.url(f"/oauth2/callback?{error}{state}"))
        assert answer.status_code == 403 and ">provider_access_denied<" in answer.text


@pytest.mark.parametrize("twice", ["code=x", "state=x", "%73tate=x", "code="])
def test_a_doubled_parameter_of_the_callback_is_refused(stack, twice):
    with stack.user() as user:
        answer = user.navigate(f"{to_callback(stack, user)}&{twice}")
        assert answer.status_code == 400 and ">invalid_callback<" in answer.text
        assert not stack.provider.requests_to("/token")


@pytest.mark.attack("FLOW-15", "WEB-01", "WEB-04")
@pytest.mark.threat("own-words")
def test_an_unregistered_error_is_named_by_us(stack):
    stack.provider.callback.update({"error": "<script>", "code": None})
    with stack.user() as user:
        page = denied(stack, user, 502, "provider_error")
        assert (
            page.text.count("<script") == 1
            and "unsafe" not in page.headers["content-security-policy"]
        )
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert (
            page.headers["x-content-type-options"] == "nosniff"
            and "frame-ancestors 'none'" in page.headers["content-security-policy"]
        )


@pytest.mark.attack("FAPI-02", "FAPI-03")
@pytest.mark.threat("one-login")
def test_iss_of_the_callback(stack):
    with stack.user() as user:
        stack.provider.callback["iss"] = "https://evil.example"
        denied(stack, user, 400, "issuer_mismatch")
        assert not stack.provider.requests_to("/token")
        stack.provider.callback["iss"] = stack.provider.issuer
        assert user.go(stack.url("/private")).status_code == 200


@pytest.mark.attack("FLOW-04", "FLOW-05")
@pytest.mark.threat("one-login")
def test_another_browser_s_callback_is_denied(stack):
    with stack.user() as attacker, stack.user() as victim:
        callback = to_callback(stack, attacker)
        answer = victim.navigate(callback)
        assert (
            answer.status_code == 400
            and ">state_mismatch<" in answer.text
            and "set-cookie" not in answer.headers
        )
        to_callback(stack, victim)
        assert victim.navigate(callback).status_code == 400
        assert not stack.provider.requests_to("/token")
        # The attacker's own login can still be completed.
        assert attacker.navigate(callback).status_code == 303


@pytest.mark.attack("FLOW-07")
@pytest.mark.threat("one-login")
def test_a_callback_is_redeemed_once_of_twenty_parallel_copies(stack):
    with stack.user() as user:
        callback = to_callback(stack, user)
        cookies = user.cookies.header(callback)
        with ThreadPoolExecutor(20) as pool:
            answers = list(
                pool.map(
                    lambda _: httpx.get(
                        callback,
                        headers={"cookie": cookies, "accept": "text/html"},
                        trust_env=False,
                    ),
                    range(20),
                )
            )
        assert sorted(answer.status_code for answer in answers) == [303] + [400] * 19
        assert all(
            ">login_already_used<" in answer.text for answer in answers if answer.status_code == 400
        )
        assert len(stack.provider.requests_to("/token")) == 1
        again = httpx.get(
            callback, headers={"cookie": cookies, "accept": "text/html"}, trust_env=False
        )
        assert again.status_code == 400 and len(stack.provider.requests_to("/token")) == 1


@pytest.mark.attack("FLOW-09")
@pytest.mark.threat("one-login")
def test_a_code_of_another_attempt_is_refused_by_pkce(stack):
    with stack.user() as victim, stack.user() as attacker:
        stolen = dict(parse_qsl(urlsplit(to_callback(stack, victim)).query))["code"]
        own = to_callback(stack, attacker)
        state = dict(parse_qsl(urlsplit(own).query))["state"]
        answer = attacker.navigate(f"{stack.url('/oauth2/callback')}?code={stolen}&state={state}")
        assert answer.status_code == 400 and ">code_refused<" in answer.text
        assert not list(attacker.cookies.named("extproc-"))


@pytest.mark.attack("FLOW-11")
def test_ten_tabs_finish_in_any_order(stack):
    with stack.user() as user:
        callbacks = [(n, to_callback(stack, user, f"/tab/{n}?n={n}")) for n in range(10)]
        assert len(list(user.cookies.named("extproc-login-"))) == 10
        for n, callback in [*callbacks[5:], *reversed(callbacks[:5])]:
            assert user.navigate(callback).headers["location"] == stack.url(f"/tab/{n}?n={n}")
        assert [cookie.name for cookie in user.cookies.named("extproc-login-")] == []


@pytest.mark.attack("FLOW-11")
def test_many_restored_tabs_with_long_addresses_end_on_their_pages(stack):
    paths = [f"/d/{n}?vars=" + "".join(f"{n}-{m}-" for m in range(180)) for n in range(10)]
    with stack.user() as user:
        callbacks = [to_callback(stack, user, path) for path in paths]
        for path, callback in zip(paths, callbacks, strict=True):
            assert user.navigate(callback).headers["location"] == stack.url(path)


@pytest.mark.attack("FLOW-11")
def test_any_number_of_restored_tabs_ends_signed_in_with_one_session(stack):
    """All begin before the first one comes back; some have long addresses."""
    before = stored_sessions(stack)
    with stack.user() as user:
        callbacks = [
            to_callback(stack, user, f"/tab/{n}?" + f"{n:x}-" * (300 * (n % 2))) for n in range(44)
        ]
        ends = [user.navigate(callback) for callback in callbacks]
        assert {answer.status_code for answer in ends} == {303}
        for answer in ends:
            assert user.navigate(answer.headers["location"]).status_code == 200
        sessions = set(user.cookies.named("extproc-session-app"))
        assert len(sessions) == 1 and stored_sessions(stack) == before + 1
        user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
        assert stored_sessions(stack) == before


def test_a_tab_whose_login_cookie_is_gone_is_sent_on_when_its_user_is_signed_in(stack):
    with stack.user() as user:
        lost = to_callback(stack, user, "/lost")
        for cookie in user.cookies.named("extproc-login-"):
            user.cookies.drop(cookie.name)
        refused = user.navigate(lost)
        assert refused.status_code == 400 and ">state_mismatch<" in refused.text
        user.go(stack.url("/private"))
        before = user.cookies.get("extproc-session-app").value
        grants = len(stack.provider.requests_to("/token"))
        for address in (lost, stack.url("/oauth2/callback?code=x"), lost + "&"):
            answer = user.navigate(address)
            assert (answer.status_code, answer.headers["location"]) == (303, stack.url("/"))
            assert "set-cookie" not in answer.headers
        assert user.cookies.get("extproc-session-app").value == before
        assert len(stack.provider.requests_to("/token")) == grants
        assert user.navigate(stack.url("/private")).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/explore?panes=" + "%7B%22a%22%3A%5B1%2C2%5D%7D" * 60,
        "/long?" + "x=%C3%A4&" * 880,
        "/search?q=a\\b",
    ],
    ids=["1500", "8000", "backslash"],
)
def test_a_login_keeps_the_whole_address(stack, path):
    with stack.user() as user, stack.user() as first:
        answer = user.navigate(to_callback(stack, user, path))
        assert answer.headers["location"] == stack.url(path.replace("\\", "%5C"))
        assert user.navigate(answer.headers["location"]).status_code == 200
        started = first.navigate(stack.url("/oauth2/login?return_to=" + quote(path, safe="/")))
        answer = first.navigate(first.navigate(started.headers["location"]).headers["location"])
        assert answer.headers["location"] == stack.url(path.replace("\\", "%5C"))


def test_a_link_to_the_login_keeps_the_fragment_of_its_page(stack):
    address = stack.url("/oauth2/login?return_to=/app%23/report/7")
    with stack.user() as user:
        started = user.navigate(address)
        answer = user.navigate(user.navigate(started.headers["location"]).headers["location"])
        assert answer.headers["location"] == stack.url("/app#/report/7")
        assert user.navigate(address).headers["location"] == stack.url("/app#/report/7")


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("x-requested-with", "com.example.browser", 303),
        ("x-requested-with", "XMLHttpRequest", 401),
        *((name, "1", 401) for name in OF_SCRIPTS),
    ],
)
def test_without_fetch_metadata_scripts_are_known_by_their_headers(stack, header, value, status):
    """The web view of an app sends its name in a header that scripts use as well."""
    headers = {"accept": "text/html,application/xhtml+xml", header: value}
    answer = httpx.get(stack.url("/private"), headers=headers, trust_env=False)
    assert answer.status_code == status
    assert ("set-cookie" in answer.headers) is (status == 303)


@pytest.mark.attack("FLOW-12")
@pytest.mark.threat("bounds")
def test_a_hundred_abandoned_logins_keep_the_cookie_header_small(stack):
    with stack.user() as user:
        for n in range(100):
            assert user.navigate(stack.url(f"/{n}?" + "x" * 300)).status_code == 303
        header = user.cookies.header(stack.url("/"))
        assert len(header) <= BURST_BYTES and header.count("extproc-login-") <= BURST_COOKIES
        assert user.go(stack.url("/private")).status_code == 200


@pytest.mark.attack("FLOW-24")
def test_a_login_makes_a_new_session_and_ends_the_old(stack):
    with stack.user() as user:
        user.go(stack.url("/private"))
        old = user.cookies.get("extproc-session-app").value
        user.cookies.drop("extproc-assertion-app")
        # The same signed-in browser completes a second login in another tab.
        planted = f"extproc-session-app={old}"
        with stack.user() as other:
            callback = to_callback(stack, other)
            cookies = other.cookies.header(callback) + "; " + planted
        answer = httpx.get(callback, headers={"cookie": cookies}, trust_env=False)
        assert answer.status_code == 303
        new = next(
            line
            for line in answer.headers.get_list("set-cookie")
            if line.startswith("extproc-session-app=")
        )
        assert old not in new
        # The old session is revoked.
        assert user.navigate(stack.url("/private")).status_code == 303


@pytest.mark.attack("FLOW-27")
def test_the_callback_leaves_no_code_behind(stack):
    with stack.user() as user:
        callback = to_callback(stack, user)
        code = dict(parse_qsl(urlsplit(callback).query))["code"]
        answer = user.navigate(callback)
        assert (
            answer.headers["referrer-policy"] == "no-referrer"
            and code not in answer.headers["location"]
        )
        stack.access_log(lambda line: line["path"] == "/oauth2/callback" and line["status"] == 303)
        logs = stack.extproc.output() + stack.access_log_file.read_text()
        for secret in (
            code,
            user.cookies.get("extproc-session-app").value,
            "at-alice-",
            "rt-",
            "gateway-secret",
        ):
            assert secret not in logs


def test_an_operator_sees_whose_session_it_is_and_on_what_device_without_its_cookie(stack):
    def stored():
        with closing(sqlite3.connect(stack.settings["store"]["path"])) as db:
            return set(db.execute("SELECT key, entry FROM session"))

    before = stored()
    with stack.user() as user:
        user.go(stack.url("/private"))
    (row,) = stored() - before
    newest = open_entry(KeyRing.of([stack.settings["secret"].encode()]), *row)
    assert (newest.application, newest.issuer, newest.subject) == (
        "app",
        stack.provider.issuer,
        "alice",
    )
    assert newest.device.agent == "Chrome on Linux"
    # For a client on loopback Envoy reports an address of the machine.
    assert ip_address(newest.device.address)


@pytest.mark.attack("HDR-13")
def test_tokens_are_no_credentials(stack):
    for headers in (
        {"authorization": "Bearer at-alice"},
        {"cookie": "extproc-session-app=" + "A" * 43},
        {"cookie": "extproc-assertion-app=e30.e30.x"},
        {"cookie": 'extproc-session-app={"sub":"alice"}'},
    ):
        answer = httpx.get(
            stack.url("/private"),
            headers={**headers, "accept": "application/json"},
            trust_env=False,
        )
        assert answer.status_code == 401 and not stack.app.requests


def test_a_401_is_a_problem_document_with_the_login_url(stack):
    answer = httpx.get(stack.url("/api"), headers={"accept": "application/json"}, trust_env=False)
    assert (
        answer.status_code,
        answer.headers["content-type"],
        answer.headers["cache-control"],
    ) == (
        401,
        "application/problem+json",
        "no-store",
    )
    problem = answer.json()
    assert (problem["reason"], problem["login_url"], problem["trace_id"]) == (
        "login_required",
        stack.url("/oauth2/login"),
        answer.headers["x-trace-id"],
    )
    assert "set-cookie" not in answer.headers and "www-authenticate" in answer.headers


@pytest.mark.attack("REDI-10")
def test_a_grpc_call_without_a_session_is_unauthenticated(stack):
    answer = httpx.post(
        stack.url("/svc/Method"),
        headers={"content-type": "application/grpc", "te": "trailers"},
        trust_env=False,
    )
    assert answer.headers["grpc-status"] == "16" and not stack.app.requests


@pytest.mark.attack("REDI-09", "WEB-13")
def test_a_posted_body_reaches_neither_provider_nor_application(stack):
    with stack.user() as user:
        answer = user.navigate(stack.url("/form"), "POST", page=stack.url("/"), content=b"secret=1")
        assert answer.status_code == 303 and user.go(answer.headers["location"]).status_code == 200
    assert all("secret" not in asked.form for asked in stack.provider.requests)
    assert [request.method for request in stack.app.requests] == ["GET"]


def test_logout_ends_the_session_here_and_there(stack):
    with stack.user() as user:
        user.go(stack.url("/private"))
        session = user.cookies.get("extproc-session-app").value
        cross = user.navigate(
            stack.url("/oauth2/logout"), "POST", page="https://evil.example/", content=b""
        )
        assert cross.status_code == 403 and "set-cookie" not in cross.headers
        asks = user.navigate(stack.url("/oauth2/logout"), page="https://evil.example/")
        assert (
            asks.status_code == 200
            and "set-cookie" not in asks.headers
            and '<form method="post"' in asks.text
        )
        out = user.navigate(stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b"")
        query = dict(parse_qsl(urlsplit(out.headers["location"]).query))
        assert (
            query["post_logout_redirect_uri"] == stack.url("/oauth2/signed-out")
            and query["client_id"] == "gateway"
            and query["id_token_hint"].count(".") == 2
        )
        assert user.follow(out).status_code == 200
        assert not list(user.cookies.named("extproc-"))
        replay = httpx.get(
            stack.url("/private"),
            headers={"cookie": f"extproc-session-app={session}", "accept": "application/json"},
            trust_env=False,
        )
        assert replay.status_code == 401


def test_userinfo_of_the_signed_in_user(stack):
    with stack.user() as user:
        page = user.go(stack.url("/private"))
        answer = user.fetch(stack.url("/oauth2/userinfo"), page=page)
        assert answer.json() == {
            "sub": "alice",
            "email": "alice@example.com",
            "email_verified": True,
            "name": "Alice",
            "groups": ["dev"],
        }
        assert (
            answer.headers["cache-control"] == "no-store"
            and answer.headers["content-type"] == "application/json"
        )
    assert httpx.get(stack.url("/oauth2/userinfo"), trust_env=False).status_code == 401


def test_our_own_endpoints_never_reach_the_application_with_a_live_assertion(stack):
    with stack.user() as user:
        user.go(stack.url("/private"))
        stack.app.requests.clear()
        for path in (
            "/oauth2/",
            "/oauth2/x",
            "/oauth2/callback?code=a&state=b",
            "/oauth2/userinfo",
            "/oauth2/signed-out",
        ):
            user.navigate(stack.url(path))
        assert not stack.app.requests


@pytest.mark.attack("KEYS-15")
@pytest.mark.threat("secrets")
@pytest.mark.parametrize("planted", ["%0d%0aSet-Cookie:%20a=b", "%00", "%7f", "a%0ab"])
def test_control_characters_of_the_callback_reach_no_provider(stack, planted):
    with stack.user() as user:
        state = dict(parse_qsl(urlsplit(to_callback(stack, user)).query))["state"]
        answer = user.navigate(f"{stack.url('/oauth2/callback')}?code={planted}&state={state}")
        assert (
            answer.status_code == 400
            and ">invalid_callback<" in answer.text
            and not stack.provider.requests_to("/token")
        )
        # Printable characters are encoded, so they add no parameter to the token request.
        user.navigate(
            f"{stack.url('/oauth2/callback')}?code=a%26grant_type%3Dx%20%25&state={state}"
        )
        assert [asked.form["code"] for asked in stack.provider.requests_to("/token")] == [
            "a&grant_type=x %"
        ]
        assert stack.provider.requests_to("/token")[0].form["grant_type"] == "authorization_code"


@pytest.mark.attack("FLOW-14")
def test_login_cookies_go_with_success_and_with_failure(stack):
    with stack.user() as user:
        user.navigate(to_callback(stack, user))
        assert not list(user.cookies.named("extproc-login-")) and user.cookies.get(
            "extproc-session-app"
        )
    stack.provider.claims["nonce"] = "x"
    with stack.user() as user:
        user.navigate(to_callback(stack, user))
        assert not list(user.cookies.named("extproc-"))


@pytest.mark.attack("KEYS-06")
def test_nothing_in_a_request_chooses_the_provider(stack):
    for query in (
        "iss=https://evil.example",
        "issuer=https://evil.example",
        "provider=evil",
        "target_link_uri=https://evil.example/",
    ):
        answer = httpx.get(
            f"{stack.url('/oauth2/login')}?{query}",
            headers={"accept": "text/html"},
            trust_env=False,
        )
        assert (
            answer.headers["location"].startswith(stack.provider.issuer + "/auth?")
            and "evil" not in answer.headers["location"]
        )


@pytest.mark.attack("FLOW-22")
def test_forwarded_headers_change_nothing(stack):
    headers = {
        "x-forwarded-host": "evil.example",
        "x-forwarded-proto": "https",
        "forwarded": "host=evil.example",
        "x-forwarded-prefix": "/evil",
        "accept": "text/html",
    }
    answer = httpx.get(stack.url("/private"), headers=headers, trust_env=False)
    query = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert (
        query["redirect_uri"] == stack.url("/oauth2/callback")
        and "Secure" not in answer.headers["set-cookie"]
    )
    assert (
        httpx.get(
            stack.url("/private"), headers={"host": "evil.example"}, trust_env=False
        ).status_code
        == 421
    )


FAULTS = {
    "rel_06_500": (lambda asked: (500, {}, b"no"), 502, "provider_failed"),
    "rel_06_503": (lambda asked: (503, {}, b"no"), 502, "provider_failed"),
    "rel_06_429": (lambda asked: (429, {"retry-after": "9"}, b"no"), 502, "provider_failed"),
    "rel_07_html": (
        lambda asked: (200, {"content-type": "text/html"}, b"<html>"),
        502,
        "invalid_token_response",
    ),
    "rel_07_empty": (lambda asked: (200, {}, b""), 502, "invalid_token_response"),
    "rel_07_gzip": (
        lambda asked: (200, {"content-encoding": "gzip"}, b"x"),
        502,
        "invalid_provider_answer",
    ),
    "rel_08_large": (lambda asked: (200, {}, b"x" * 1_100_000), 502, "invalid_provider_answer"),
    "rel_10_no_token": (
        lambda asked: (200, {}, json.dumps({"token_type": "bearer"}).encode()),
        502,
        "invalid_token_response",
    ),
    "keys_04_redirect": (
        lambda asked: (307, {"location": "/elsewhere"}, b""),
        502,
        "invalid_provider_answer",
    ),
    "invalid_client": (
        lambda asked: (401, {}, b'{"error":"invalid_client"}'),
        502,
        "client_refused",
    ),
    "invalid_grant": (lambda asked: (400, {}, b'{"error":"invalid_grant"}'), 400, "code_refused"),
}


@pytest.mark.attack("KEYS-04", "REL-06", "REL-07", "REL-08", "REL-10")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_token_endpoint_is_a_page_with_a_reason(stack, fault):
    answer, status, reason = FAULTS[fault]
    stack.provider.answers["/token"] = answer
    with stack.user() as user:
        denied(stack, user, status, reason)
    assert len(stack.provider.requests_to("/token")) == 1 and not stack.provider.requests_to(
        "/elsewhere"
    )


@pytest.mark.attack("REL-05")
def test_a_provider_that_resets_is_a_502_and_one_that_hangs_a_504(stack):
    with stack.user() as user:
        stack.provider.answers["/token"] = lambda asked: (
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"
        )
        assert denied(stack, user).status_code in (502, 504)
        stack.provider.answers.clear()
        with stack.provider.holding("/token"):
            denied(stack, user, 504, "provider_timeout")


@pytest.mark.attack("IDT-29")
@pytest.mark.parametrize(
    ("body", "reason"), [(b"[]", "invalid_userinfo"), (b"<html>", "invalid_userinfo")]
)
def test_a_userinfo_that_is_no_object_is_denied(stack, body, reason):
    stack.provider.answers["/me"] = lambda asked: (200, {"content-type": "application/json"}, body)
    with stack.user() as user:
        denied(stack, user, 502, reason)
    assert stack.provider.revoked


def test_a_slow_userinfo_is_overtaken_by_everybody_else(stack):
    with stack.user() as slow, stack.user() as quick:
        callback = to_callback(stack, slow)
        with stack.provider.holding("/me"):
            waiting = threading.Thread(target=lambda: slow.navigate(callback))
            waiting.start()
            wait_until(lambda: stack.provider.held == 1, 60)
            assert quick.navigate(stack.url("/private")).status_code == 303
            assert httpx.get(stack.url("/public/x"), trust_env=False).status_code == 200
        waiting.join(60)
        assert slow.cookies.get("extproc-session-app")
