"""asyncio and trio in one process: grpc.aio lives on asyncio, the held lane in trio.
ext_proc/servicer.py knows only `Bridge`.

Two ways, one interface:
- `guest`: asyncio is the host and trio its guest, by public API of trio alone. A hop is a callback
  each way; `extproc serve` uses it. A stream that never enters trio costs what plain asyncio costs.
- `embedded`: trio is the host and asyncio runs on trio-asyncio, for a program that is trio's
  already (a test under pytest-trio, an embedding service). Stock trio-asyncio runs one ready
  callback for each trip through trio's scheduler; on the version that this was tested with, all
  that are ready run in one trip.

Both: cancellation of the asyncio side cancels the trio work, context variables (the current span)
cross, and an exception comes out as it is. Work may shield itself and then goes on after the
asyncio side has left; `Bridge.busy` counts it until it ends.
"""

import asyncio
import contextvars
import signal
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from typing import Any, Protocol, TypeVar

import trio

from extproc import background
from extproc.resolver import PerHostResolver

T = TypeVar("T")
Serve = Callable[["Bridge"], Awaitable[None]]
TESTED_TRIO_ASYNCIO = ("0.16",)


class Bridge(Protocol):
    """How the asyncio side has work done in trio."""

    @property
    def busy(self) -> int:
        """Pieces of work in hand, those included whose asyncio side has left."""

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does the work in trio, awaited on the asyncio side. Cancelling the await cancels the
        work.
        """

    def spawn(self, place: str, work: Callable[[], Awaitable[object]]) -> None:
        """Starts work in trio that nobody awaits, behind the boundary of background.py. place: its
        name in the log and the metrics.
        """


class _Nursery:
    """Common to both: a nursery in trio, reached from the same thread."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()
        self.busy = 0

    def spawn(self, place: str, work: Callable[[], Awaitable[object]]) -> None:
        self._start(partial(background.once, place, work))

    def _start(self, work: Callable[[], Awaitable[object]]) -> None:
        """Errors of the work end the process: it has its boundary, or an awaiting side that hears
        of them.
        """
        self.busy += 1

        async def job() -> None:
            try:
                await work()
            finally:
                self.busy -= 1

        context = contextvars.copy_context()
        self._token.run_sync_soon(lambda: context.run(self._nursery.start_soon, job))

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        scope = trio.CancelScope()

        async def job() -> None:
            try:
                with scope:
                    result = await work()
                    if not answer.done():
                        answer.set_result(result)
                if not answer.done():
                    answer.cancel()
            except Exception as error:
                # the asyncio side may have left; then nobody is there to hear of it
                if not answer.done():
                    answer.set_exception(error)
            except BaseException:
                answer.cancel()
                raise

        self._start(job)
        try:
            return await answer
        except asyncio.CancelledError:
            self._token.run_sync_soon(scope.cancel)
            raise


def guest(serve: Serve) -> None:
    """Runs `serve(bridge)` on asyncio with trio as its guest, until it returns. SIGINT is left to
    `serve`.
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[tuple[_Nursery, trio.CancelScope]] = loop.create_future()
        over: asyncio.Future[None] = loop.create_future()

        async def trio_main() -> None:
            trio.socket.set_custom_hostname_resolver(PerHostResolver())
            async with trio.open_nursery() as nursery:
                ready.set_result((_Nursery(nursery), nursery.cancel_scope))
                await trio.sleep_forever()

        def done(outcome: Any) -> None:
            error = getattr(outcome, "error", None)
            if not ready.done():
                ready.set_exception(error or RuntimeError("trio ended before it began"))
            if error is not None:
                over.set_exception(error)
            else:
                over.set_result(None)

        trio.lowlevel.start_guest_run(
            trio_main,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=done,
            host_uses_signal_set_wakeup_fd=True,
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
        bridge, scope = await ready
        try:
            await _while_trio_lives(serve(bridge), over)
        finally:
            scope.cancel()
            await asyncio.wait([over])

    # trio installs a SIGINT handler of its own unless somebody has: the server decides what a
    # signal means
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        # a loop of asyncio's own, whatever policy somebody else's import (trio_asyncio's, say) has
        # set for the process
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(main())
    finally:
        signal.signal(signal.SIGINT, previous)


async def _while_trio_lives(serve: Awaitable[None], over: "asyncio.Future[None]") -> None:
    """A trio side that dies takes the server down: half a process must not go on answering."""
    serving = asyncio.ensure_future(serve)
    await asyncio.wait([serving, over], return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        serving.cancel()
        await asyncio.wait([serving])
        over.result()
    serving.result()


async def embedded(serve: Serve) -> None:
    """Runs `serve(bridge)` within a trio program, on a trio-asyncio loop, until it returns."""
    # importing trio_asyncio changes the process's event-loop policy: only here, where it was chosen
    import trio_asyncio

    async with trio.open_nursery() as nursery, trio_asyncio.open_loop() as loop:
        _drain(loop)
        await trio_asyncio.aio_as_trio(serve)(_Nursery(nursery))
        nursery.cancel_scope.cancel()


def _drain(loop: Any, most: int = 64) -> None:
    """Every callback that is ready runs in one trio tick, on the versions whose insides are known;
    else the loop stays as it comes.
    """
    installed = version("trio-asyncio")
    if not installed.startswith(
        tuple(f"{tested}." for tested in TESTED_TRIO_ASYNCIO)
    ) or not hasattr(loop, "_main_loop_one"):
        warnings.warn(
            f"trio-asyncio {installed} was not tested; its stock loop is used, which is slower",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    one = loop._main_loop_one

    async def many(no_wait: bool = False) -> None:
        await one(no_wait)
        if no_wait:
            return
        for _ in range(most):
            try:
                await one(no_wait=True)
            except trio.WouldBlock:
                return

    loop._main_loop_one = many
