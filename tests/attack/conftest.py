"""One gateway that most tests of this folder share, and what must be true after each of them."""

from collections.abc import Iterator

import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until

LIMITS = {"callback": 40, "connects": 5}


@pytest.fixture(scope="session")
def running() -> Iterator[Stack]:
    settings = {"timeouts": {"callback": 8, "call": 4}, "limits": LIMITS, "log": {"level": "DEBUG"}}
    with Stack(FakeProvider(), settings=settings) as stack:
        # One login first, because tests measure memory: what the processor makes at its first use
        # must exist by then.
        with stack.user() as first:
            assert first.go(stack.url("/private")).status_code == 200
        yield stack


@pytest.fixture
def stack(running: Stack) -> Iterator[Stack]:
    """The shared gateway with a correct provider.

    Afterwards the same processor must still run, hold no request, and have met no bug.
    """
    running.provider.reset()
    running.app.requests.clear()
    pid, written = running.extproc.pid, len(running.extproc.output())
    yield running
    running.provider.reset()
    assert running.extproc.pid == pid and running.extproc.exit_code is None
    wait_until(lambda: not any(running.held().values()), 60, "requests to end", every=0.1)
    assert '"internal_error"' not in running.extproc.output()[written:]
    assert running.stat("http.in.ext_proc.failure_mode_allowed") == 0
