"""One gateway for most of the hostile suite, and what is true after every test of it."""

import os
from collections.abc import Iterator

import httpx
import pytest
from harness.browser import WebUser
from harness.fake_provider import Liar
from harness.gateway import Stack
from harness.processes import wait_until
from harness.tokens import Signer, public

LIMITS = {"callback": 40, "connects": 5}


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    settings = {"timeouts": {"callback": 8, "call": 4}, "limits": LIMITS, "log": {"level": "DEBUG"}}
    with Stack(Liar(), settings=settings) as stack:
        # whatever is made when it is needed first is there before memory is measured
        with stack.user() as first:
            assert first.go(stack.url("/private")).status_code == 200
        yield stack


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    """The provider honest again; and afterwards the same processor serves, holds nothing, and met
    no bug.
    """
    liar = running.provider
    assert isinstance(liar, Liar)
    for lie in (
        liar.claims,
        liar.header,
        liar.userinfo,
        liar.metadata,
        liar.callback,
        liar.answers,
        liar.refreshed,
    ):
        lie.clear()
    liar.keys[:], liar.signer, liar.user = [public("RS256")], Signer(), "alice"
    for seen in (liar.asked, liar.redeemed, liar.revoked, liar.grants, running.app.requests):
        seen.clear()
    pid, written = running.extproc.pid, len(running.extproc.output())
    yield running
    liar.answers.clear()
    assert running.extproc.pid == pid and running.extproc.exit_code is None
    wait_until(lambda: not any(held(running).values()), 60, "what is in hand to end", every=0.1)
    assert '"internal_error"' not in running.extproc.output()[written:]
    assert running.stat("http.in.ext_proc.failure_mode_allowed") == 0


def held(stack: Stack) -> dict[str, int]:
    gauges = httpx.get(
        f"{stack.admin}/gauges", headers={"connection": "close"}, trust_env=False
    ).json()
    return {
        name: count
        for name, count in gauges.items()
        if name.startswith("held.") or name == "streams"
    }


def memory(pid: int) -> int:
    """Resident bytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def to_callback(
    stack: Stack, user: WebUser, path: str = "/private", name: str | None = None
) -> str:
    """A login up to the provider's answer: the address of the callback, not asked for yet. name: of
    another user.
    """
    started = user.navigate(stack.url(path))
    assert started.status_code == 303, started.text
    said = {"x-user": name} if name else {}
    return user.navigate(started.headers["location"], headers=said).headers["location"]
