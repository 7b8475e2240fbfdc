"""Keys: a provider's keys and metadata that change, lie or are unreachable, and the gateway's own.

The gateway's own keys are rotated behind a real Envoy that keeps its configuration.
"""

import json
import secrets
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness.browser import WebUser
from harness.envoy import oldest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until
from harness.tokens import Signer, public

from extproc.core.assertion import AssertionProfile, key_id, mint
from extproc.core.encoding import b64decode
from extproc.core.sealing import KeyRing
from extproc.core.session import SessionId

KEY_A, KEY_B = "A" * 40, "B" * 40


def signs_in(stack: Stack) -> bool:
    with stack.user() as user:
        return user.go(stack.url("/private")).status_code == 200


def ready(stack: Stack) -> bool:
    return httpx.get(f"{stack.admin}/readyz", trust_env=False).status_code == 200


@pytest.mark.attack("CONF-18", "KEYS-08", "KEYS-10")
def test_rotated_keys_are_fetched_once_in_a_cool_down() -> None:
    with Stack(FakeProvider()) as stack:
        provider = stack.provider
        assert signs_in(stack)
        fetched = len(provider.requests_to("/jwks"))
        provider.keys[:], provider.signer = [public("RS256", "rotated")], Signer("RS256", "rotated")
        # CONF-18: the very first login works.
        assert signs_in(stack) and len(provider.requests_to("/jwks")) == fetched + 1
        provider.signer = Signer()
        # KEYS-10: the old key is no longer accepted.
        assert not signs_in(stack)
        provider.signer = Signer("RS256", "rotated")
        for number in range(15):
            provider.header["kid"] = f"unknown-{number}"
            assert not signs_in(stack)
        # KEYS-08.
        assert len(provider.requests_to("/jwks")) == fetched + 1
        provider.header.clear()
        assert signs_in(stack)


@pytest.mark.attack("REL-01", "REL-38")
def test_a_provider_that_is_down_at_the_start_is_503_and_found_when_it_returns() -> None:
    down = lambda asked: (503, {}, b"")  # noqa: E731
    with Stack(FakeProvider(answers={"/.well-known/openid-configuration": down})) as stack:
        assert httpx.get(f"{stack.admin}/livez", trust_env=False).status_code == 200 and not ready(
            stack
        )
        answer = httpx.get(stack.url("/private"), headers={"accept": "text/html"}, trust_env=False)
        assert (
            answer.status_code,
            ">provider_unavailable<" in answer.text,
            "set-cookie" in answer.headers,
        ) == (
            503,
            True,
            False,
        )
        assert int(answer.headers["retry-after"]) > 0
        assert httpx.get(stack.url("/public/x"), trust_env=False).status_code == 200
        assert httpx.get(stack.url("/api"), trust_env=False).status_code == 401
        stack.provider.answers.clear()
        wait_until(lambda: ready(stack), 60)
        assert signs_in(stack)


@pytest.mark.attack("CONF-15", "CONF-17", "FLOW-03", "KEYS-03")
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
    with Stack(FakeProvider(metadata=lie)) as stack:
        answer = httpx.get(stack.url("/private"), headers={"accept": "text/html"}, trust_env=False)
        assert answer.status_code == 503 and "location" not in answer.headers and not ready(stack)


@pytest.mark.attack("KEYS-04")
def test_discovery_that_redirects_is_not_followed() -> None:
    away = lambda asked: (302, {"location": "/elsewhere"}, b"")  # noqa: E731
    with Stack(FakeProvider(answers={"/.well-known/openid-configuration": away})) as stack:
        assert (
            httpx.get(
                stack.url("/private"), headers={"accept": "text/html"}, trust_env=False
            ).status_code
            == 503
        )
        assert not stack.provider.requests_to("/elsewhere")


@pytest.mark.attack("KEYS-03")
@pytest.mark.parametrize(
    "endpoint", ["token_endpoint", "userinfo_endpoint", "authorization_endpoint"]
)
@pytest.mark.parametrize("listener", ["envoy_admin", "admin"])
def test_a_provider_cannot_send_the_processor_to_envoy_s_admin_or_its_own(
    endpoint: str, listener: str
) -> None:
    made = Stack(FakeProvider())
    address = {"envoy_admin": made.envoy_admin, "admin": made.admin}[listener]
    assert made.provider is not None
    made.provider.metadata[endpoint] = address.replace("127.0.0.1", "localhost") + "/quitquitquit"
    with made as stack, stack.user() as user:
        # before Envoy runs, the provider behind it is another fault
        refused = ">invalid_provider_metadata<"
        wait_until(
            lambda: refused in user.navigate(stack.url("/private")).text, 60, what="the metadata"
        )
        for _ in range(3):
            answer = user.navigate(stack.url("/private"))
            assert answer.status_code == 503 and refused in answer.text
        assert httpx.get(f"{stack.envoy_admin}/ready", trust_env=False).status_code == 200
        lines = stack.extproc.output().splitlines()
        warnings = [line for line in lines if "provider_not_ready" in line]
        assert len([line for line in warnings if "leads to a listener" in line]) == 1


def test_a_document_at_another_address_is_found() -> None:
    provider = FakeProvider()
    usual, moved = "/.well-known/openid-configuration", "/index.php/metadata"
    provider.answers[usual] = lambda asked: (301, {"location": moved}, b"")
    provider.answers[moved] = lambda asked: provider.truthful(replace(asked, path=usual))

    def settings(stack: Stack) -> dict[str, Any]:
        return {"providers": {"main": {"metadata_url": stack.provider.issuer + moved}}}

    with Stack(provider, settings=settings) as stack:
        assert signs_in(stack) and not provider.requests_to(usual)


@pytest.mark.attack("REL-02")
def test_a_provider_that_refuses_connections_at_the_callback_is_a_502() -> None:
    with Stack(FakeProvider(behind=False)) as stack, stack.user() as user:
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


@pytest.mark.attack("KEYS-16")
def test_a_provider_that_goes_away_harms_no_session() -> None:
    with Stack(FakeProvider()) as stack, stack.user() as user:
        user.go(stack.url("/private"))
        gone = lambda asked: b""  # noqa: E731
        stack.provider.answers.update(
            dict.fromkeys(("/.well-known/openid-configuration", "/jwks", "/token", "/me"), gone)
        )
        user.cookies.drop("extproc-assertion-app")
        assert user.navigate(stack.url("/private")).status_code == 200
        # A login still starts with the known metadata, and ends with a page that names the cause.
        with stack.user() as other:
            answer = other.go(stack.url("/private"))
            assert answer.status_code in (502, 504) and "provider_" in answer.text


# -- the gateway's keys: rotated in place, behind an Envoy that stays as it is -----------------------

IN_FILES = {"identity": {"keys_refresh": "1s", "assertion_lifetime": "20s"}}


class Mounted:
    """A secret in a file as Kubernetes mounts it.

    Its path leads through the link ..data, which is swapped.
    """

    def __init__(self, stack: Stack) -> None:
        self.stack, self._folder, self._number = stack, stack.directory / "mounted", 0
        if not self._folder.exists():
            self._folder.mkdir()
            self.write(KEY_A)
            (self._folder / "ring").symlink_to("..data/ring")

    @property
    def path(self) -> str:
        return str(self._folder / "ring")

    def write(self, *ring: str) -> None:
        self._number += 1
        made = self._folder / f"..{self._number}-{secrets.token_hex(4)}"
        made.mkdir()
        (made / "ring").write_text("".join(f"{key}\n" for key in ring))
        swapped = self._folder / "..data_tmp"
        swapped.symlink_to(made.name)
        swapped.replace(self._folder / "..data")


def log(stack: Stack, event: str) -> list[dict[str, Any]]:
    text = stack.extproc.output()
    every = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in every if line["event"] == event]


def rotate(mounted: Mounted, *ring: str) -> None:
    """Write the file and do nothing else; wait until the processor has loaded it."""
    before = len(log(mounted.stack, "reloaded"))
    mounted.write(*ring)
    wait_until(lambda: len(log(mounted.stack, "reloaded")) > before, 60, "the ring to be taken")


def signed_by(user: WebUser) -> str:
    """The key id of the browser's assertion."""
    cookie = user.cookies.get("extproc-assertion-app")
    assert cookie is not None
    return str(json.loads(b64decode(cookie.value.partition(".")[0]))["kid"])


def sealed_with(stack: Stack, secret: str) -> int:
    """The number of stored sessions that this key opens."""
    ring = KeyRing.of([secret.encode()])
    with closing(sqlite3.connect(stack.settings["store"]["path"])) as db:
        return sum(
            ring.newest(sealed.decode()) for (sealed,) in db.execute("SELECT sealed FROM session")
        )


def kid(secret: str) -> str:
    return key_id(KeyRing.of([secret.encode()]).keys[0])


def forged(stack: Stack, secret: str, life: int = 20) -> str:
    """The Cookie header that an attacker with this key can make: an assertion of no processor.

    life: seconds.
    """
    profile = AssertionProfile(stack.url("/"), life)
    session, mallory = SessionId.of(b"m" * 32), [("x-auth-sub", "mallory")]
    token = mint(
        KeyRing.of([secret.encode()]),
        profile,
        ("app",),
        session.handle,
        mallory,
        int(time.time()),
        1 << 40,
    )
    return f"extproc-session-app={session.cookie}; extproc-assertion-app={token}"


def asks(stack: Stack, cookie: str) -> int:
    return httpx.get(stack.url("/api"), headers={"cookie": cookie}, trust_env=False).status_code


@pytest.mark.attack("COOK-19")
@pytest.mark.parametrize(
    ("more", "envoy"),
    [({}, None), ({"workers": 2}, oldest())],
    ids=["one worker", "two, oldest Envoy"],
)
def test_a_key_that_is_rotated_by_its_file_signs_nobody_out_and_envoy_follows(
    more: dict[str, object], envoy: Path | None
) -> None:
    def settings(stack: Stack) -> dict[str, object]:
        return IN_FILES | more | {"secret": None, "secret_file": Mounted(stack).path}

    with (
        Stack(FakeProvider(), settings=settings, envoy=envoy) as stack,
        stack.user() as user,
        stack.user() as idle,
    ):
        mounted = Mounted(stack)
        assert (
            user.go(stack.url("/private")).status_code
            == idle.go(stack.url("/private")).status_code
            == 200
        )
        envoy, config, processes = (
            stack.envoy.pid,
            stack.envoy.path.read_text(),
            [stack.extproc.pid, *stack.extproc.children],
        )
        assert KEY_A not in config and kid(KEY_A) not in config
        assert signed_by(user) == kid(KEY_A)
        first = user.cookies.header(stack.url("/private"))

        rotate(mounted, KEY_B, KEY_A)
        assert log(stack, "key_published")
        # Its assertion is signed with the older key.
        assert asks(stack, first) == 200
        user.cookies.drop("extproc-assertion-app")
        assert user.navigate(stack.url("/private")).status_code == 200
        assert signed_by(user) == kid(KEY_B)
        streams = stack.streams()
        # Envoy knows key B.
        assert (
            user.navigate(stack.url("/private")).status_code == 200 and stack.streams() == streams
        )
        # An attacker with a key of the ring can do this, but not with a longer life.
        assert asks(stack, forged(stack, KEY_A)) == 200
        assert asks(stack, forged(stack, KEY_A, 3000)) == 401

        wait_until(
            lambda: sealed_with(stack, KEY_B) == 1,
            60,
            "the session that was used to be sealed anew",
        )
        rotate(mounted, KEY_B)
        wait_until(lambda: asks(stack, forged(stack, KEY_A)) == 401, 60, "Envoy to forget the key")
        user.cookies.drop("extproc-assertion-app")
        # The user was never redirected to a login.
        assert user.navigate(stack.url("/private")).status_code == 200
        idle.cookies.drop("extproc-assertion-app")
        answer = idle.navigate(stack.url("/private"))
        # The session is lost, but there is no error.
        assert answer.status_code == 303 and "client_id=" in answer.headers["location"]
        assert not log(stack, "not_reloaded") and not log(stack, "internal_error")
        assert (stack.envoy.pid, stack.envoy.path.read_text()) == (envoy, config)
        assert [stack.extproc.pid, *stack.extproc.children] == processes
