"""Which assertions Envoy accepts."""

import time
from collections.abc import Sequence

import pytest
from harness.envoy_config import simple
from harness.envoy_parts import SESSION, assertion

from extproc.core.application import Application
from extproc.core.assertion import AssertionProfile, mint
from extproc.core.http import Request
from extproc.core.sealing import KeyRing
from extproc.core.session import SessionId
from extproc.explain.assertion import accepted
from extproc.settings import Settings
from extproc.settings.domain import applications

NOW = 1_800_000_000
MADE = simple()


def minted(
    ring: KeyRing | None = None, session: SessionId = SESSION, audience: str | Sequence[str] = "app"
) -> str:
    audiences = (audience,) if isinstance(audience, str) else audience
    profile = AssertionProfile(MADE.url("app"), 60)
    headers = [("x-auth-sub", "alice")]
    token = mint(ring or MADE.key_ring(), profile, audiences, session.handle, headers, NOW, 1 << 40)
    assert token is not None
    return token


def app(made: Settings) -> Application:
    return applications(made, made.key_ring())["app"]


def request(token: str) -> Request:
    cookies = f"extproc-session-app={SESSION.cookie}; extproc-assertion-app={token}"
    return Request("app", False, "GET", "/", "localhost", (("cookie", cookies),))


def test_an_assertion_of_the_session_beside_it_is_accepted_until_it_expires() -> None:
    sent = request(minted())
    assert accepted(MADE, app(MADE), sent, ("app",), NOW) == "its assertion is good for 58 s more"
    assert accepted(MADE, app(MADE), sent, ("app",), NOW + 60) is None


@pytest.mark.parametrize(
    "token",
    [
        minted(KeyRing.of([b"another secret of 32 bytes or more"])),
        minted(session=SessionId.of(b"t" * 32)),
        minted(audience="wiki"),
        minted()[:-4] + "AAAA",
        "garbage",
    ],
    ids=["of another secret", "of another session", "of another application", "forged", "garbage"],
)
def test_another_assertion_is_not_accepted(token: str) -> None:
    assert accepted(MADE, app(MADE), request(token), ("app",), NOW) is None


def test_an_assertion_is_accepted_on_the_routes_whose_audience_it_names() -> None:
    sent = request(minted(audience=("one", "two")))
    for audiences, is_accepted in (
        (("one",), True),
        (("two",), True),
        (("three", "two"), True),
        (("three",), False),
        (("app",), False),
        ((), False),
    ):
        assert (accepted(MADE, app(MADE), sent, audiences, NOW) is not None) is is_accepted


def test_without_a_fast_path_none_is_accepted() -> None:
    made = simple(identity={"assertion_lifetime": 0})
    assert accepted(made, app(made), request(minted()), ("app",), NOW) is None


def test_the_harness_mints_what_is_accepted_now() -> None:
    token = assertion(MADE, "app")
    assert accepted(MADE, app(MADE), request(token), ("app",), int(time.time())) is not None
