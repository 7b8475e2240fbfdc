"""asyncio and trio in one process: one suite for both bridges."""

import asyncio
import contextvars
import socket

import pytest
import trio
from harness.bridges import BRIDGES

from extproc.ext_proc.bridge import embedded

SPAN = contextvars.ContextVar("span", default="lost")


@pytest.fixture(params=BRIDGES)
def run(request):
    return BRIDGES[request.param]


async def until(check) -> None:
    async with asyncio.timeout(60):
        while not check():
            await asyncio.sleep(0.005)


def test_work_is_done_in_trio_and_its_result_and_context_cross(run):
    async def work():
        await trio.sleep(0)
        return SPAN.get()

    async def body(bridge):
        SPAN.set("kept")
        assert await bridge.run(work) == "kept"
        assert await asyncio.gather(*(bridge.run(work) for _ in range(200))) == ["kept"] * 200
        await until(lambda: bridge.busy == 0)

    run(body)


def test_an_exception_comes_out_as_it_is_and_harms_no_other_work(run):
    release = []

    async def fails():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise LookupError("mine")

    async def waits():
        while not release:
            await trio.sleep(0.005)
        return "done"

    async def body(bridge):
        other = asyncio.ensure_future(bridge.run(waits))
        with pytest.raises(ExceptionGroup) as caught:
            await bridge.run(fails)
        assert caught.group_contains(LookupError)
        release.append(1)
        assert await other == "done"

    run(body)


def test_cancelling_the_asyncio_side_cancels_the_work(run):
    begun, seen = [], []

    async def work():
        begun.append(1)
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            seen.append("cancelled")
            raise

    async def body(bridge):
        waiting = [asyncio.ensure_future(bridge.run(work)) for _ in range(50)]
        await until(lambda: len(begun) == 50)
        for task in waiting:
            task.cancel()
        assert all(
            isinstance(outcome, asyncio.CancelledError)
            for outcome in await asyncio.gather(*waiting, return_exceptions=True)
        )
        await until(lambda: bridge.busy == 0)
        assert seen == ["cancelled"] * 50

    run(body)


def test_shielded_work_goes_on_after_its_asyncio_side_has_left_and_is_counted(run):
    begun, finished, gate = [], [], []

    async def work():
        begun.append(1)
        with trio.CancelScope(shield=True):
            while not gate:
                await trio.sleep(0.005)
            finished.append(1)

    async def body(bridge):
        task = asyncio.ensure_future(bridge.run(work))
        await until(lambda: begun)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bridge.busy == 1 and not finished
        gate.append(1)
        await until(lambda: bridge.busy == 0)
        assert finished == [1]

    run(body)


def test_spawned_work_is_awaited_by_nobody(run):
    done = []

    async def work():
        done.append(trio.current_time())

    async def body(bridge):
        bridge.spawn("work", work)
        await until(lambda: done)

    run(body)


def test_the_asyncio_side_s_own_error_comes_out(run):
    async def body(bridge):
        raise LookupError("serve")

    with pytest.raises(LookupError, match="serve"):
        run(body)


def test_when_the_asyncio_side_returns_the_work_in_trio_is_cancelled(run):
    events = []

    async def work():
        events.append("begun")
        try:
            await trio.sleep_forever()
        finally:
            events.append("cancelled")

    async def body(bridge):
        bridge.spawn("work", work)
        await until(lambda: events == ["begun"])

    run(body)
    assert events == ["begun", "cancelled"]


def test_a_bug_in_the_work_is_logged_and_the_bridge_serves_on(run, caplog):
    async def fails():
        raise LookupError

    async def works():
        return "done"

    async def body(bridge):
        bridge.spawn("work", fails)
        await until(lambda: bridge.busy == 0)
        assert await bridge.run(works) == "done"

    run(body)
    assert [record.place for record in caplog.records] == ["work"]


async def test_a_trio_program_reaches_the_asyncio_side_and_its_errors_come_out_as_they_are():
    async def on_asyncio():
        await asyncio.sleep(0)
        return "done"

    async def program():
        async with embedded() as bridge:
            assert await bridge.on_asyncio(on_asyncio) == "done"
            raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        await program()


def test_an_error_in_the_callback_of_a_socket_ends_neither_the_loop_nor_the_socket_s_reader(run):
    """grpc waits for all of its calls on one socket: without its reader they would never end."""
    seen = []

    async def body(bridge):
        ours, theirs = socket.socketpair()

        def read():
            seen.append(ours.recv(1))
            if len(seen) == 1:
                raise RuntimeError("Event loop is closed")

        loop = asyncio.get_running_loop()
        with ours, theirs:
            loop.add_reader(ours, read)
            for count in (1, 2):
                theirs.send(b"x")
                await until(lambda count=count: len(seen) == count)
            loop.remove_reader(ours)

    run(body)
    assert seen == [b"x", b"x"]
