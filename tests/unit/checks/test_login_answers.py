"""The answers during a login: what is wrong with each, and what to do."""

import httpx
import pytest
from harness.envoy_config import simple

from extproc.checks.login_answers import (
    callback_finding,
    no_redirect_finding,
    page_finding,
    request_faults,
)

LONG = "x" * 22
CALLBACK = "http://localhost:8080/oauth2/callback"
RIGHT = {
    "response_type": "code",
    "client_id": "gateway",
    "redirect_uri": CALLBACK,
    "scope": "openid",
    "code_challenge_method": "S256",
    "code_challenge": LONG,
    "state": LONG,
    "nonce": LONG,
}
COOKIE = "extproc-login-app-00000000=v; Path=/; HttpOnly; SameSite=Lax"


def faults(cookie: str = COOKIE, **changes: str) -> list[str]:
    location = str(httpx.URL("https://idp.example/auth", params=RIGHT | changes))
    answer = httpx.Response(303, headers={"set-cookie": cookie})
    return list(request_faults(simple(), "app", location, answer))


def test_a_right_authorization_request_has_no_fault() -> None:
    assert faults() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_type", "token"),
        ("client_id", "other"),
        ("redirect_uri", "http://evil.example/"),
        ("code_challenge_method", "plain"),
        ("state", "short"),
        ("nonce", ""),
        ("code_challenge", ""),
        ("scope", "email"),
    ],
)
def test_each_wrong_parameter_is_one_fault_with_its_name(name: str, value: str) -> None:
    (fault,) = faults(**{name: value})
    assert name in fault


@pytest.mark.parametrize("lost", ["HttpOnly", "SameSite=Lax", "Path=/", "extproc-"])
def test_a_login_cookie_needs_its_name_and_attributes(lost: str) -> None:
    (fault,) = faults(COOKIE.replace(lost, ""))
    assert "there is no login cookie" in fault


@pytest.mark.parametrize(
    ("status", "body", "what", "remedy"),
    [
        (200, "<p>page", "without a login", "--envoy-admin"),
        (401, "<dd>login_required</dd>", "401 login_required", "extproc reasons login_required"),
        (503, '{"reason": "overloaded"}', "503 overloaded", "extproc reasons overloaded"),
        (421, "", "421 in place of", "applications.hosts"),
        (503, "", "503 in place of", "extproc serve"),
        (418, "", "418 in place of", "this Envoy"),
    ],
)
def test_an_answer_that_is_no_redirect_has_its_reason_or_a_guess(
    status: int, body: str, what: str, remedy: str
) -> None:
    finding = no_redirect_finding(httpx.Response(status, text=body), "login", "")
    assert finding.level == "error" and what in finding.what and remedy in finding.remedy


def test_the_trace_of_a_refusal_is_named() -> None:
    answer = httpx.Response(401, text="<dd>login_required</dd>")
    assert "`extproc explain abc`" in no_redirect_finding(answer, "login", "abc").what


def test_the_provider_may_send_the_browser_back_with_a_code_or_an_error() -> None:
    assert callback_finding(f"{CALLBACK}?code=canary", "login").level == "ok"
    refused = callback_finding(f"{CALLBACK}?error=access_denied", "login")
    assert refused.level == "error" and "provider_access_denied" in refused.remedy
    odd = callback_finding(f"{CALLBACK}?error=%1b[31m", "login")
    assert odd.what.endswith("back with an error")


@pytest.mark.parametrize(
    ("status", "body", "level", "text"),
    [
        (200, "<form>", "ok", "shows its login page"),
        (400, "Invalid parameter: redirect_uri", "error", "refuses redirect_uri"),
        (400, "Client not found.", "error", "refuses client_id"),
        (502, "", "error", "answers 502"),
        (403, "no", "error", "in place of its login page"),
        (200, "<p>", "warning", "no form"),
    ],
)
def test_the_provider_s_page_is_judged_by_its_status_and_text(
    status: int, body: str, level: str, text: str
) -> None:
    finding = page_finding(simple(), "app", httpx.Response(status, text=body), "login")
    assert finding.level == level and text in finding.what
