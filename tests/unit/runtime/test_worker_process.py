"""The process of a worker, and the supervisor's end of its stream."""

import signal

import pytest
import trio

from extproc.runtime.control import Drain
from extproc.runtime.worker_process import how, inherited, launch


async def test_a_process_that_is_killed_has_nothing_more_to_say_and_no_exit_status():
    handle = await launch()
    handle.kill()
    with trio.fail_after(60):
        assert await handle.receive() is None
        assert await handle.wait() == -signal.SIGKILL
    await handle.send(Drain())
    handle.kill()


async def test_a_worker_whose_first_order_is_not_start_ends():
    handle = await launch()
    with trio.fail_after(60):
        await handle.send(Drain())
        assert await handle.receive() is None
        assert await handle.wait() == 1


@pytest.mark.parametrize(
    ("code", "words"), [(3, "exit status 3"), (-9, "signal SIGKILL"), (-40, "signal 40")]
)
def test_whatever_ended_a_worker_has_words(code: int, words: str) -> None:
    assert how(code) == words


@pytest.mark.threat("secrets")
def test_a_worker_gets_what_it_needs_of_the_environment_and_no_secret() -> None:
    needed = {
        "PATH": "/bin",
        "LC_ALL": "C",
        "TZ": "UTC",
        "SSL_CERT_FILE": "/etc/ca.pem",
        "OTEL_SERVICE_NAME": "sso",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=x",
        "PYTHONUNBUFFERED": "1",
        "GRPC_VERBOSITY": "NONE",
        "https_proxy": "http://proxy:3128",
    }
    others = {
        "EXTPROC_SECRET": "s",
        "CLIENT_SECRET": "s",
        "AWS_SECRET_ACCESS_KEY": "s",
        "DATABASE_URL": "s",
        "anything": "s",
    }
    assert inherited(needed | others) == needed
