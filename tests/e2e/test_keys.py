"""Keys and metadata of a provider that change, lie or are away, behind the real Envoy."""

import httpx
import pytest
from rig.liar import Liar
from rig.processes import wait_until
from rig.rows import rows
from rig.stack import Stack
from rig.tokens import Signer, public


def signs_in(stack: Stack) -> bool:
    with stack.user() as user:
        return user.go(stack.url("/private")).status_code == 200


def ready(stack: Stack) -> bool:
    return httpx.get(f"{stack.admin}/readyz", trust_env=False).status_code == 200


@rows("keys_08", "keys_10")
def test_conf_18_rotated_keys_are_fetched_once_in_a_cool_down() -> None:
    with Stack(Liar()) as stack:
        liar = stack.provider
        assert signs_in(stack)
        fetched = len(liar.seen("/jwks"))
        liar.keys[:], liar.signer = [public("RS256", "rotated")], Signer("RS256", "rotated")
        assert signs_in(stack) and len(liar.seen("/jwks")) == fetched + 1  # row CONF-18: the very first login works
        liar.signer = Signer()
        assert not signs_in(stack)  # row KEYS-10: the old key is out
        liar.signer = Signer("RS256", "rotated")
        for number in range(15):
            liar.header["kid"] = f"unknown-{number}"
            assert not signs_in(stack)
        assert len(liar.seen("/jwks")) == fetched + 1  # row KEYS-08
        liar.header.clear()
        assert signs_in(stack)


@rows("rel_38")
def test_rel_01_a_provider_that_is_down_at_the_start_is_503_and_found_when_it_returns() -> None:
    down = lambda asked: (503, {}, b"")  # noqa: E731
    with Stack(Liar(answers={"/.well-known/openid-configuration": down})) as stack:
        assert httpx.get(f"{stack.admin}/livez", trust_env=False).status_code == 200 and not ready(stack)
        answer = httpx.get(stack.url("/private"), headers={"accept": "text/html"}, trust_env=False)
        assert (answer.status_code, ">provider_unavailable<" in answer.text, "set-cookie" in answer.headers) == (
            503,
            True,
            False,
        )
        assert int(answer.headers["retry-after"]) > 0
        assert httpx.get(stack.url("/public/x"), trust_env=False).status_code == 200
        assert httpx.get(stack.url("/api"), trust_env=False).status_code == 401
        stack.provider.answers.clear()
        wait_until(lambda: ready(stack), 15)
        assert signs_in(stack)


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "http://evil.example"},
        {"token_endpoint": "http://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"code_challenge_methods_supported": ["plain"]},
    ],
    ids=["conf_17", "keys_03", "keys_03_file", "conf_15", "flow_03"],
)
def test_metadata_that_lies_starts_no_login(lie: dict[str, object]) -> None:
    with Stack(Liar(metadata=lie)) as stack:
        answer = httpx.get(stack.url("/private"), headers={"accept": "text/html"}, trust_env=False)
        assert answer.status_code == 503 and "location" not in answer.headers and not ready(stack)


def test_keys_04_discovery_that_redirects_is_not_followed() -> None:
    away = lambda asked: (302, {"location": "/elsewhere"}, b"")  # noqa: E731
    with Stack(Liar(answers={"/.well-known/openid-configuration": away})) as stack:
        assert httpx.get(stack.url("/private"), headers={"accept": "text/html"}, trust_env=False).status_code == 503
        assert not stack.provider.seen("/elsewhere")


def test_rel_02_a_provider_that_refuses_connections_at_the_callback_is_a_502() -> None:
    with Stack(Liar(behind=False)) as stack, stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        user.cookies.drop("extproc-session-app", "extproc-assertion-app")
        started = user.navigate(stack.url("/private"))
        callback = user.navigate(started.headers["location"]).headers["location"]
        stack.provider.close()
        answer = user.navigate(callback)
        assert (
            answer.status_code == 502
            and ">provider_unreachable<" in answer.text
            and "oauth2/login?return_to=" in answer.text
        )


def test_keys_16_a_provider_that_goes_away_harms_no_session() -> None:
    with Stack(Liar()) as stack, stack.user() as user:
        user.go(stack.url("/private"))
        gone = lambda asked: b""  # noqa: E731
        stack.provider.answers.update(
            dict.fromkeys(("/.well-known/openid-configuration", "/jwks", "/token", "/me"), gone)
        )
        user.cookies.drop("extproc-assertion-app")
        assert user.navigate(stack.url("/private")).status_code == 200
        # a login still starts from the metadata that is known, and ends with a page that names the cause
        with stack.user() as other:
            answer = other.go(stack.url("/private"))
            assert answer.status_code in (502, 504) and "provider_" in answer.text
