"""A processor in trio alone, on a clock that tests move, with one event at its n-th await.

    for world in every("leaves", made): ...     # see tests/attack/test_every_await.py

The events (HOW): `leaves`, the client disconnects; `late`, as much time passes in one step as the
whole request may take; `store_before`, `store_after`, `provider_before`, `provider_after`, this one
operation fails before or after its effect; `store_away`, all operations from then on fail.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any, TypeVar

import trio
import trio.testing

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import APPLICATION, COOKIES
from extproc.core.application import Application
from extproc.core.decisions import Answer, Step
from extproc.core.errors import StoreUnavailable
from extproc.core.http import Request
from extproc.core.provider_errors import ProviderUnreachable
from extproc.ext_proc.error_boundary import ErrorBoundary
from extproc.ext_proc.servicer import Servicer
from extproc.metrics import Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions
from extproc.settings import Limits, Timeouts
from harness.memory_peers import MemoryProvider, MemoryStore, nothing
from harness.tokens import NOW, application

T = TypeVar("T")
HOW = (
    "leaves",
    "late",
    "store_before",
    "store_after",
    "store_away",
    "provider_before",
    "provider_after",
)
LATE = 30.0  # seconds, longer than any deadline
_WORK: ContextVar[bool] = ContextVar("the work that is struck", default=False)


class Direct:
    """A Bridge whose two sides are both in trio."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery, self.busy, self.hops = nursery, 0, 0

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        self.hops += 1
        # As a real hop between threads: a client that has left by now cancels the first await.
        await trio.lowlevel.cancel_shielded_checkpoint()
        return await work()

    def spawn(self, place: str, work: Callable[[], Awaitable[object]]) -> None:
        self._nursery.start_soon(work)


class Context:
    """The context that grpc.aio gives for one stream.

    `messages` has the messages to come, `written` those that were sent.
    """

    def __init__(self, message: wire.ProcessingRequest) -> None:
        self._messages = [message]
        self.written: list[wire.ProcessingResponse] = []

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((APPLICATION, "app"),)

    async def read(self) -> wire.ProcessingRequest | None:
        await trio.lowlevel.checkpoint()
        return self._messages.pop() if self._messages else None

    async def write(self, message: wire.ProcessingResponse) -> None:
        await trio.lowlevel.checkpoint()
        self.written.append(message)
        await trio.lowlevel.checkpoint()

    async def abort(self, code: object, details: str) -> None:
        raise AssertionError(f"aborted: {details}")

    @property
    def answers(self) -> list[wire.ProcessingResponse]:
        return [message for message in self.written if message.WhichOneof("response")]


class World:
    """Everything that outlives a request. Time passes on `now` and on trio's clock together."""

    def __init__(self, app: Application, metrics: Metrics) -> None:
        self.metrics = metrics
        self.app, self.store, self.provider = app, MemoryStore(), MemoryProvider()
        self.sessions = StoredSessions(self.store)
        self.struck, self.later = (
            "",
            0.0,
        )  # the operation's number; the seconds that have passed besides

    def now(self) -> float:
        return NOW + self.later + trio.current_time()

    def open(self, nursery: trio.Nursery) -> None:
        party = RelyingParty(
            {"app": self.app}, {"app": self.provider}, self.sessions, self.now, metrics=self.metrics
        )  # type: ignore[dict-item]
        self._boundary = ErrorBoundary(party)
        self.bridge = Direct(nursery)
        self.server = Servicer(party, self.bridge, Timeouts(), Limits(), self.metrics)

    async def ask(self, request: Request) -> Context:
        """Run one stream to its end."""
        context = Context(message(request))
        await self.server.process(None, context)  # type: ignore[arg-type]
        return context

    async def perform(self, request: Request, step: Step) -> Answer:
        """Run the held lane alone, for a client that may have disconnected already."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        return await self._boundary.perform(request, step, Timeouts().callback)


def message(request: Request) -> wire.ProcessingRequest:
    """A request as Envoy sends it to the processor."""
    request_message = wire.ProcessingRequest()
    pseudo = {":method": request.method, ":path": request.target, ":authority": request.authority}
    for name, value in (*pseudo.items(), *request.headers):
        header = request_message.request_headers.headers.headers.add()
        header.key, header.raw_value = COOKIES if name == "cookie" else name, value.encode()
    return request_message


class _Steps(trio.abc.Instrument):
    """Calls `act` at the n-th step of a task and the tasks that it started."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self._at, self._act, self.count = at, act, 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task.context.get(_WORK):
            self.count += 1
            if self.count == self._at:
                self._act()


def _fails(world: World, how: str, at: int) -> Callable[[str, str], None]:
    """Let the n-th operation of a store or provider fail."""
    part, when = how.split("_")
    seen = 0

    def met(operation: str, here: str) -> None:
        nonlocal seen
        seen += here == (when if when != "away" else "before")
        if seen == at or (when == "away" and seen > at):
            world.struck = operation
            if when == "away" or here == when:
                raise (
                    StoreUnavailable("struck") if part == "store" else ProviderUnreachable("struck")
                )

    return met


async def _struck(
    world: World, how: str, at: int, work: Callable[[], Awaitable[Any]], clock: Any
) -> Any:
    """The outcome of the work with that event. None: the work was cancelled."""
    scope, outcome = trio.CancelScope(), None

    def act() -> None:
        world.struck = how
        scope.cancel() if how == "leaves" else clock.jump(LATE)

    steps = _Steps(at, act if how in ("leaves", "late") else lambda: None)
    if how.startswith("store"):
        world.store.met = _fails(world, how, at)
    elif how.startswith("provider"):
        world.provider.met = _fails(world, how, at)

    async def run() -> None:
        nonlocal outcome
        _WORK.set(True)
        with scope:
            outcome = await work()

    trio.lowlevel.add_instrument(steps)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
    finally:
        trio.lowlevel.remove_instrument(steps)
        world.store.met = world.provider.met = nothing
    return outcome


Scenario = Callable[
    ["World", Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]], Awaitable[None]
]


def every(how: str, scenario: Scenario, app: Application | None = None) -> int:
    """Run `await scenario(world, strikes)` once for each await in the work, with the event there.

    `await strikes(work)` is the outcome of the work. The event comes one await later each time,
    until the work ends before it. Returns the number of runs.
    """
    metrics = Metrics()
    for at in _counted():
        clock = trio.testing.MockClock(autojump_threshold=0)
        world = World(app or application(), metrics)

        async def main(world: World = world, clock: Any = clock, at: int = at) -> None:
            async with trio.open_nursery() as nursery:
                world.open(nursery)
                base = trio.lowlevel.current_statistics().tasks_living

                async def strikes(work: Callable[[], Awaitable[Any]]) -> Any:
                    outcome = await _struck(world, how, at, work, clock)
                    await trio.testing.wait_all_tasks_blocked()
                    assert trio.lowlevel.current_statistics().tasks_living == base, (
                        "a task was left behind"
                    )
                    assert not any(count for _, count in world.server.admission.gauges()), (
                        world.server.admission.gauges()
                    )
                    return outcome

                try:
                    await scenario(world, strikes)
                except AssertionError as error:
                    error.add_note(f"{how} at {at}")
                    raise

        trio.run(main, clock=clock)
        if not world.struck:
            return at - 1
    return 0


def _counted() -> Iterator[int]:
    yield from range(1, 500)
