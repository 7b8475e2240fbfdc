"""The process of a worker, and the supervisor's end of its stream."""

import signal

import pytest
import trio

from extproc.runtime.control import Drain
from extproc.runtime.worker_process import how, launch


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
