"""asyncio and trio in one process: grpc.aio lives on asyncio, the held lane in trio.
All other modules know only the protocol `Bridge`.

Two ways, one interface:
- `guest`: asyncio is the host and trio its guest, by public API of trio alone. A hop is a callback
  each way; `extproc serve` uses it. A stream that never enters trio costs what plain asyncio costs.
- `embedded`: trio is the host and asyncio runs on trio-asyncio, for a program that already runs on
  trio (extproc.embedded, a test under pytest-trio). trio-asyncio runs one asyncio callback for each
  trip through trio's scheduler: a held stream costs about a third more CPU than with `guest`
  (docs/decisions/002-trio-as-guest.md has the measurement).

Both: cancellation of the asyncio side cancels the trio work, context variables (the current span)
cross, and an exception comes out as it is. Work may shield itself and then continues after the
asyncio side has left; `Bridge.busy` counts it until it ends.
"""

import asyncio
import contextvars
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

import trio

from extproc import background
from extproc.resolver import PerHostResolver

T = TypeVar("T")
Serve = Callable[["Bridge"], Awaitable[None]]


class Bridge(Protocol):
    """How the asyncio side has work done in trio."""

    @property
    def busy(self) -> int:
        """Pieces of work that have not ended, including work whose asyncio side has left."""

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does the work in trio, awaited on the asyncio side. Cancelling the await cancels the
        work.
        """

    def spawn(self, place: str, work: Callable[[], Awaitable[object]]) -> None:
        """Starts work in trio that no caller awaits, behind the boundary of background.py.

        place: the name of the work in the log and the metrics.
        """


class _Nursery:
    """A nursery in trio, reached from the same thread: what both ways have in common."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._token = trio.lowlevel.current_trio_token()
        self.busy = 0

    def spawn(self, place: str, work: Callable[[], Awaitable[object]]) -> None:
        self._start(partial(background.once, place, work))

    def _start(self, work: Callable[[], Awaitable[object]]) -> None:
        """Starts work whose errors have a boundary of their own, or an awaiting side.

        Any other error ends the process.
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
                # The asyncio side may have left: then the error has no reader.
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


class EmbeddedBridge(_Nursery):
    """The bridge of a trio program, which reaches the asyncio side as well."""

    async def on_asyncio(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does the work on the asyncio side, awaited in trio."""
        # Typed by hand, because trio-asyncio has no annotations.
        import trio_asyncio

        done: T = await trio_asyncio.aio_as_trio(work)()
        return done


@asynccontextmanager
async def embedded() -> AsyncIterator[EmbeddedBridge]:
    """Opens an asyncio loop within a trio program, until the block is left.

    Leaving cancels the work that still runs in trio. An error of the block comes out as it is.
    """
    # Importing trio_asyncio changes the event loop policy of the process: so only here, where the
    # program chose it.
    import trio_asyncio

    failed: Exception | None = None
    async with trio_asyncio.open_loop() as loop, trio.open_nursery() as nursery:
        loop.set_exception_handler(_report)
        try:
            yield EmbeddedBridge(nursery)
        except Exception as error:
            # Out of the nurseries it would come in several groups.
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed


def _report(_: object, context: dict[str, Any]) -> None:
    """Reports an error of a callback, and lets the loop continue, as asyncio does.

    trio-asyncio would end the task that waits for the callback's socket. grpc waits on one socket
    for all of its calls, and a late event of a loop that was closed before raises there: without
    this handler all calls of this loop would wait for ever.
    """
    error = context.get("exception") or RuntimeError(context.get("message"))
    background.report("asyncio callback", error)


def guest(serve: Serve) -> None:
    """Runs `serve(bridge)` on asyncio with trio as its guest, until it returns.

    trio looks names up with PerHostResolver. SIGINT is left to `serve`.
    """
    # trio installs a SIGINT handler of its own unless there is one already: the server decides what
    # a signal means.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        # A loop of asyncio's own, whatever policy an import (trio_asyncio's, for example) has set
        # for the process.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(_host(serve))
    finally:
        signal.signal(signal.SIGINT, previous)


async def _host(serve: Serve) -> None:
    """Starts trio as the guest of the running loop, serves, and ends trio."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[tuple[_Nursery, trio.CancelScope]] = loop.create_future()
    ended: asyncio.Future[None] = loop.create_future()

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
            ended.set_exception(error)
        else:
            ended.set_result(None)

    trio.lowlevel.start_guest_run(
        trio_main,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        done_callback=done,
        host_uses_signal_set_wakeup_fd=True,
        restrict_keyboard_interrupt_to_checkpoints=True,
    )
    bridge, scope = await ready
    try:
        await _while_trio_lives(serve(bridge), ended)
    finally:
        scope.cancel()
        await asyncio.wait([ended])


async def _while_trio_lives(serve: Awaitable[None], ended: "asyncio.Future[None]") -> None:
    """Serves until `serve` returns. If trio ends before, half a process must not go on answering:
    serving is cancelled, and trio's error is raised.
    """
    serving = asyncio.ensure_future(serve)
    await asyncio.wait([serving, ended], return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        serving.cancel()
        await asyncio.wait([serving])
        ended.result()
    serving.result()
