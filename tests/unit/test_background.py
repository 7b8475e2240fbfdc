"""What runs in the background: an error of it is logged, counted and ends nothing else, and nothing
is started without that boundary.
"""

import ast
import asyncio
import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
import trio
from harness.bridges import BRIDGES
from harness.sources import parsed

from extproc import background
from extproc.metrics import ProcessMetrics
from extproc.metrics.exposition import page

ERRORS = (
    RuntimeError, ValueError, KeyError, UnicodeError, httpx.InvalidURL, AttributeError, RecursionError, MemoryError,
    lambda text: ExceptionGroup(text, [RuntimeError(text)]),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    background.FAILURES.forget()
    monkeypatch.setattr(background, "FIRST_PAUSE", 0.01)


class Fails:
    """Work that meets each of the errors, one after the other, and then goes on for ever."""

    def __init__(self, sleep: Callable[[], object]) -> None:
        self.begun, self._sleep = 0, sleep

    async def __call__(self) -> None:
        self.begun += 1
        if self.begun <= len(ERRORS):
            raise ERRORS[self.begun - 1]("SECRET")
        await self._sleep()


def failed(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.getMessage() == "background_failed"]


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("run", BRIDGES.values(), ids=BRIDGES)
def test_spawned_work_may_raise_anything_and_begins_again(
    run, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Fails(trio.sleep_forever)
    on_asyncio = Fails(lambda: asyncio.Event().wait())

    async def fails() -> None:
        raise ERRORS[-1]("SECRET")

    async def works() -> str:
        return "done"

    async def body(bridge) -> None:
        bridge.spawn("once", fails)
        bridge.spawn("kept", lambda: background.keep("kept", kept))
        task = asyncio.create_task(background.keep("on asyncio", on_asyncio, asyncio.sleep))
        async with asyncio.timeout(60):
            while min(kept.begun, on_asyncio.begun) <= len(ERRORS):
                assert await bridge.run(works) == "done"
                await asyncio.sleep(0.01)
        task.cancel()

    run(body)
    assert len(failed(caplog)) == 2 * len(ERRORS) + 1
    assert all(record.exc_info for record in failed(caplog))
    metrics = ProcessMetrics()
    metrics.watch(background.readings)
    text = page(metrics.families(), "").body.decode()
    assert "# TYPE extproc_background_failures_total counter" in text
    assert f'extproc_background_failures_total{{place="kept"}} {len(ERRORS)}.0' in text
    assert 'extproc_background_failures_total{place="once"} 1.0' in text


async def test_work_that_fails_again_and_again_waits_longer_and_longer(
    autojump_clock, monkeypatch
) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE", 1.0)
    monkeypatch.setattr(background.time, "monotonic", trio.current_time)
    begun: list[float] = []

    async def work() -> None:
        begun.append(trio.current_time())
        if len(begun) == 10:
            await trio.sleep(background.STEADY)
        raise RuntimeError

    with trio.move_on_after(600):
        await background.keep("work", work)
    pauses = [later - earlier for earlier, later in pairwise(begun)]
    assert pauses[:9] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses[9:11] == [background.STEADY + 1, 2], (
        "what went well for a while begins at the first pause"
    )


def test_a_flood_of_one_error_has_a_few_tracebacks_and_each_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raised(error: Exception) -> Exception:
        try:
            raise error
        except Exception as caught:
            return caught

    for _ in range(500):
        background.report("flood", raised(RuntimeError("x")))
    assert len(failed(caplog)) == background.LINES
    assert sum(bool(record.exc_info) for record in failed(caplog)) == background.TRACEBACKS
    background.report("flood", raised(KeyError("x")))  # another error is none of them
    assert failed(caplog)[-1].exc_info
    assert next(iter(background.readings())).value == 501
    for n in range(3 * background.KINDS):
        background.bug("event", RuntimeError(), place=f"place {n}")
    assert background.FAILURES.kinds <= background.KINDS


def test_lines_that_a_flood_left_out_are_named_by_the_first_line_of_the_next_minute() -> None:
    failures, error = background.Failures(), RuntimeError()
    lines = [failures.line("place", error, 100.0) for _ in range(background.LINES + 7)]
    assert [line.traceback for line in lines if line] == [True] * background.TRACEBACKS + [
        False
    ] * (background.LINES - background.TRACEBACKS)
    assert lines[background.LINES :] == [None] * 7
    assert failures.line("another place", error, 100.0) == background.Line(True, 0)
    later = 100.0 + background.WINDOW
    assert failures.line("place", error, later) == background.Line(True, 7)


async def test_work_that_is_cancelled_or_returns_is_not_begun_again() -> None:
    begun = []

    async def work() -> None:
        begun.append(1)

    await background.keep("work", work)
    with trio.CancelScope() as scope:
        scope.cancel()
        await background.keep("work", trio.sleep_forever)
    assert begun == [1] and scope.cancelled_caught


# -- nothing without it

STARTS = (
    "start_soon",
    "start",
    "spawn",
    "spawn_system_task",
    "create_task",
    "ensure_future",
    "Thread",
    "run_coroutine_threadsafe",
)
# what is started elsewhere: by whom, and who hears of its errors
HEARD = {
    ("admin/connections.py", "nursery.start_soon(connection.close_in_time)"): "the boundary of serve() is around its nursery",
    ("admin/trace_reading.py", "nursery.start_soon(leave)"): "its error is the page's",
    ("admin/http_server.py", "accepting.start(accept)"): "its error comes out of serve(), which the admin listener keep()s",
    ("ext_proc/bridge.py", "context.run(self._nursery.start_soon, job)"): "spawn() gives it a boundary, and run() an awaiting side",
    ("ext_proc/bridge.py", "asyncio.ensure_future(serve)"): "the main program: it is awaited",
    ("ext_proc/touches.py", "self._bridge.spawn('touch', partial(self._touch, request, session))"): "spawn()",
    ("runtime/service.py", "self._bridge.spawn('store', self._sessions.start)"): "spawn()",
    ("runtime/service.py", "self._bridge.spawn(place, partial(background.keep_within, self._new_scope(), place, work))"): "spawn(), and keep()",
    ("runtime/service.py", "self._bridge.spawn('measuring', partial(self._measure, self._new_scope()))"): "spawn(), and its parts keep()",
    ("runtime/single.py", "bridge.spawn('settings', reload.ask)"): "spawn()",
    ("runtime/single.py", "bridge.spawn('settings', partial(background.keep_within, watching, 'settings', reload.run))"): "spawn(), and keep()",
    ("runtime/single.py", "self._bridge.spawn('admin', work)"): "spawn(), and the listener keep()s",
    ("runtime/embedded.py", "nursery.start(_run, settings, stop)"): "its error comes out of the program's block",
    ("runtime/worker.py", "asyncio.create_task(self._follow_orders(service))"): "it has a boundary of its own, after which the worker goes",
    ("ext_proc/live_streams.py", "asyncio.ensure_future(context.read())"): "it is awaited",
    ("concurrency.py", "nursery.start_soon(run, number, call)"): "its error is raised by run_all()",
    ("relying_party/logout.py", "nursery.start_soon(revoke_tokens, self._providers[owner.name], owner.client, session)"): "revoke_tokens raises nothing",
    ("sessions/redis/keeper.py", "trio.lowlevel.spawn_system_task(self._keep)"): "keep()",
    ("sessions/redis/connection.py", "self._nursery.start_soon(self._open, self._opening)"): "it has a boundary of its own",
    ("sessions/redis/connection.py", "self._nursery.start(self._keep, connection)"): "it is awaited, and has a boundary of its own",
    ("runtime/worker_pool.py", "nursery.start_soon(worker.update_keys, settings)"): "of a reload, whose boundary hears of it",
    ("runtime/worker_reports.py", "nursery.start_soon(ask, worker)"): "of a question, whose asker hears of it",
    ("runtime/supervisor.py", "nursery.start(_receive_signals, supervisor.reload, starting, stop)"): "signals: without them nobody could stop it",
    ("runtime/supervisor.py", "self._nursery.start(self._serve_admin)"): "keep(); at the start its error is the supervisor's",
    ("demo/app.py", "nursery.start_soon(_serve, app, port, shutdown)"): "a demo",
}  # fmt: skip
NOT_WORK = ("self._listener.start()", "self._sessions.start()", "self._client.start()", "self._keeper.start()", "self._grpc.start()", "self.store.start()",
            "self.revocations.start()", "process.start()", "embedding.on_asyncio(process.start)", "self.inner.start()", "self.start()", "supervisor.start()",
            "self.workers.start()", "sessions.start()", "stack.start()")  # fmt: skip


def started() -> set[tuple[str, str]]:
    """Each place of the product at which something is started that goes on beside it."""
    root, found = Path(background.__file__).parent, set()
    for path in root.rglob("*.py"):
        for node in ast.walk(parsed(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            # also where it is handed on: run(nursery.start_soon, ...)
            called = [node.func, *node.args]
            names = {each.attr for each in called if isinstance(each, ast.Attribute)}
            text = ast.unparse(node)
            if names & set(STARTS) and text not in NOT_WORK and "light.start" not in text:
                found.add((str(path.relative_to(root)), text))
    return found


def bounded(text: str) -> bool:
    """Whether what is started is handed to the boundary at once."""
    return (
        ".start_soon(background.keep, " in text
        or ".start_soon(background.once, " in text
        or "create_task(background.keep(" in text
    )


@pytest.mark.attack("REL-42")
@pytest.mark.threat("foreign-input")
def test_nothing_is_started_in_the_background_without_the_boundary() -> None:
    found = {place for place in started() if not bounded(place[1])}
    assert found - set(HEARD) == set(), (
        "start it by background.keep or background.once, or say who hears of its errors"
    )
    assert set(HEARD) - found == set(), "these are gone"
    assert len(started()) > len(HEARD)
