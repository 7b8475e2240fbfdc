"""Lag: how much later than due a timer fires."""

import asyncio

import trio
from harness.metrics import samples

from extproc.metrics import Metrics
from extproc.metrics.lag import EVERY, of_asyncio, of_trio

COUNT, SUM = "extproc_loop_lag_seconds_count", "extproc_loop_lag_seconds_sum"


async def test_trio_s_timers_are_measured_again_and_again(autojump_clock):
    metrics = Metrics()
    with trio.move_on_after(10.5 * EVERY):
        await of_trio(metrics)
    assert samples(metrics, COUNT) == {("trio",): 10}
    assert samples(metrics, SUM) == {("trio",): 0}


async def test_a_task_that_keeps_trio_busy_is_seen(mock_clock, nursery):
    metrics = Metrics()
    nursery.start_soon(of_trio, metrics)
    await trio.testing.wait_all_tasks_blocked()
    mock_clock.jump(EVERY + 2)
    await trio.testing.wait_all_tasks_blocked()
    assert samples(metrics, SUM) == {("trio",): 2}
    nursery.cancel_scope.cancel()


class Jumping(asyncio.SelectorEventLoop):
    """A loop whose clock a test moves on."""

    ahead = 0.0

    def time(self):
        return super().time() + self.ahead


def test_a_callback_that_keeps_asyncio_busy_is_seen():
    metrics = Metrics()

    async def main():
        measuring = asyncio.create_task(of_asyncio(metrics))
        await asyncio.sleep(0)
        asyncio.get_running_loop().ahead += EVERY + 2
        while not samples(metrics, COUNT):
            await asyncio.sleep(0)
        measuring.cancel()

    with asyncio.Runner(loop_factory=Jumping) as runner:
        runner.run(main())
    assert samples(metrics, SUM)["asyncio",] >= 2
