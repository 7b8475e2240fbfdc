"""A machine with an odd setup: a far time zone, the C locale, a provider that DNS does not know."""

import datetime
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import signs_in


def lost(stack: Stack) -> dict[str, Any]:
    """An application whose provider has a name that does not resolve (RFC 6761)."""
    two = {
        "hosts": ["localhost"],
        "path_prefix": "/two/",
        "upstream": stack.app.url,
        "provider": "lost",
    }
    provider = {"issuer": "https://provider.invalid", "client_id": "gateway", "client_secret": "x"}
    return {"applications": {"two": two}, "providers": {"lost": provider}}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    provider = FakeProvider(userinfo={"email": "alice@example.test", "name": "Alice Example"})
    far = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with Stack(provider, settings=lost, env=far) as running:
        yield running


def test_a_far_time_zone_and_the_c_locale_change_neither_a_login_nor_its_cookies_nor_the_log(
    stack: Stack,
) -> None:
    with stack.user() as user:
        signs_in(stack, user)
        lives = [
            cookie.expires - time.time() for cookie in user.cookies if cookie.expires is not None
        ]
        assert lives and all(0 < seconds <= 43_200 for seconds in lives)
    lines = [json.loads(line) for line in stack.extproc.output().splitlines()]
    last = datetime.datetime.fromisoformat(lines[-1]["time"])
    assert last.utcoffset() is not None
    assert abs(last - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(hours=1)


def test_a_provider_that_dns_does_not_know_is_a_page_with_retry_after_and_nobody_else_s_trouble(
    stack: Stack,
) -> None:
    with stack.user() as user:
        page = user.navigate(stack.url("/two/x"))
        assert (page.status_code, int(page.headers["retry-after"]) > 0) == (503, True)
        assert ">provider_unavailable<" in page.text and "provider.invalid" not in page.text
        assert user.go(stack.url("/private")).status_code == 200
