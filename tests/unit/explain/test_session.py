"""The session of a request is found without a change, or it is explained why there is none."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from harness.envoy_config import simple
from harness.tokens import session as a_session

from extproc.core.application import Application
from extproc.core.device import Device
from extproc.core.http import Request
from extproc.core.session import SessionId
from extproc.core.session_cookie import session_cookies
from extproc.explain.session import find
from extproc.sessions.factory import open_sessions
from extproc.settings import Settings
from extproc.settings.domain import applications

NOW = 1_800_000_000
ID = SessionId.of(b"i" * 32)


def app(made: Settings) -> Application:
    return applications(made, made.key_ring())["app"]


def request(cookies: str = "") -> Request:
    headers = (("cookie", cookies),) if cookies else ()
    return Request("app", False, "GET", "/", "localhost", headers)


def session(**changes: Any) -> Any:
    times = {"created": NOW - 600, "touched": NOW - 1, "expires": NOW + 7200}
    return replace(a_session(), id=ID, issuer="https://idp.example", **(times | changes))


async def stored(tmp_path: Path, **changes: Any) -> Settings:
    """Settings with a file that has one session."""
    made = simple(store={"kind": "sqlite", "path": str(tmp_path / "s.db")})
    sessions = open_sessions(made.store)
    await sessions.start()
    await sessions.create(app(made), request(), session(**changes), Device(), None)
    await sessions.aclose()
    return made


async def test_a_stored_session_is_found_and_left_as_it_is(tmp_path: Path) -> None:
    made = await stored(tmp_path)
    sent = request(f"extproc-session-app={ID.cookie}")
    first, again = (find(made, app(made), sent, NOW) for _ in range(2))
    assert first == again and first.session is not None and first.certain
    assert first.text == "a session that began 10 min ago; it lasts at most 2 h more"


@pytest.mark.parametrize(
    ("cookies", "text"),
    [
        ("", "there is no cookie extproc-session-app, so the user is not signed in"),
        ("extproc-session-app=garbage", "has no session id"),
        (f"extproc-session-app={SessionId.of(b'x' * 32).cookie}", "is of no stored session"),
    ],
)
async def test_a_cookie_without_a_session_is_explained(
    tmp_path: Path, cookies: str, text: str
) -> None:
    made = await stored(tmp_path)
    lookup = find(made, app(made), request(cookies), NOW)
    assert lookup.session is None and text in lookup.text and lookup.certain


def test_a_store_that_is_unreachable_makes_the_answer_uncertain(tmp_path: Path) -> None:
    made = simple(store={"kind": "redis", "servers": ["127.0.0.1:9"]})
    lookup = find(made, app(made), request(f"extproc-session-app={ID.cookie}"), NOW)
    assert lookup.session is None and not lookup.certain
    assert "this machine cannot read the store" in lookup.text


def test_a_session_in_cookies_is_read_without_any_store() -> None:
    provider = {"issuer": "https://idp.example", "client_id": "g", "backchannel_logout": False}
    made = simple(store={"kind": "cookie"}, providers={"main": provider})
    written = session_cookies(app(made), request(), session(), NOW, b"e" * 44)
    cookies = "; ".join(f"{each.name}={each.value}" for each in written if each.value)
    lookup = find(made, app(made), request(cookies), NOW)
    assert lookup.session is not None and "is not looked up here" in lookup.text
