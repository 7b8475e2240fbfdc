"""A store that is measured: every operation under its own name, and no error as "no session"."""

import inspect

import pytest
import trio
from harness.memory_peers import MemoryStore
from harness.tokens import NOW

from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.metrics import Metrics
from extproc.sessions.instrumented import InstrumentedStore
from extproc.sessions.store import SessionStore, WouldBlock

GOOD, ALICE = b"good".ljust(32), b"alice".ljust(32)
RECORD = Record(GOOD, b"sealed", NOW + 1000, NOW, b"entry", (ALICE,))
# Each operation with its arguments.
OPERATIONS = {
    "get": (GOOD, NOW),
    "put": (RECORD,),
    "touch": (GOOD, NOW),
    "delete": (GOOD,),
    "tagged": (ALICE, NOW),
    "tagged_page": (ALICE, None, 10, NOW),
    "end": (ALICE, NOW),
    "page": (None, 10, NOW),
    "count": (NOW,),
    "lock": (GOOD, b"me", 5, NOW),
    "unlock": (GOOD, b"me"),
    "replace": (RECORD, b"me", NOW),
    "use_once": (b"attempt", NOW + 5, NOW),
    "revoke_before": (GOOD, NOW, NOW + 5),
    "revoked_before": ([GOOD], NOW),
}


@pytest.fixture
def inner():
    return MemoryStore()


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def store(inner, metrics):
    return InstrumentedStore(inner, "sqlite", metrics)


def samples(metrics: Metrics, name: str) -> dict[str, float]:
    """The values of a metric by the name of the operation."""
    return {
        sample.labels["operation"]: sample.value
        for family in metrics.families()
        for sample in family.samples
        if sample.name == name
    }


def test_every_operation_of_a_store_is_among_those_that_are_tried_here():
    awaited = {name for name, _ in inspect.getmembers(SessionStore, inspect.iscoroutinefunction)}
    assert awaited - {"start", "aclose"} == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_operation_gives_what_the_store_gives_and_is_measured_once(
    operation, store, metrics
):
    plain = MemoryStore()
    for each in (store, plain):
        await each.put(RECORD)
    before = samples(metrics, "extproc_store_operation_duration_seconds_count").get(operation, 0)
    arguments = OPERATIONS[operation]
    assert await getattr(store, operation)(*arguments) == await getattr(plain, operation)(
        *arguments
    )
    counts = samples(metrics, "extproc_store_operation_duration_seconds_count")
    assert counts[operation] == before + 1
    assert samples(metrics, "extproc_store_errors_total")[operation] == 0


async def test_a_store_that_is_unavailable_is_counted_as_an_error_and_raised_as_it_is(
    inner, store, metrics
):
    away = StoreUnavailable("away")

    def fails(operation: str, when: str) -> None:
        raise away

    inner.met = fails
    with pytest.raises(StoreUnavailable) as caught:
        await store.get(GOOD, NOW)
    assert caught.value is away
    assert samples(metrics, "extproc_store_errors_total") == {"get": 1}


async def test_an_operation_that_is_cancelled_is_measured_and_is_no_error(inner, store, metrics):
    inner.open = trio.Event()
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.get(GOOD, NOW)
    assert samples(metrics, "extproc_store_operation_duration_seconds_count") == {"get": 1}
    assert samples(metrics, "extproc_store_errors_total") == {"get": 0}


async def test_what_is_read_on_the_event_loop_is_not_measured(inner, store, metrics):
    await inner.put(RECORD)
    assert store.get_nowait(GOOD, NOW) == RECORD
    assert samples(metrics, "extproc_store_operation_duration_seconds_count") == {}
    inner.remote = True
    with pytest.raises(WouldBlock):
        store.get_nowait(GOOD, NOW)


async def test_whether_the_store_is_there_is_the_inner_store_s_own(inner, store):
    assert store.missing is None
    inner.missing = "cannot be connected to"
    assert store.missing == "cannot be connected to"


class Broken:
    """A store of which each method raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str):
        def fails(*_: object) -> object:
            raise self._error

        async def fails_later(*_: object) -> object:
            raise self._error

        return fails if name.endswith("_nowait") else fails_later


@pytest.mark.attack("REL-43")
@pytest.mark.parametrize(
    "error",
    [RuntimeError("x"), ValueError("x"), KeyError("x"), ExceptionGroup("x", [TypeError("x")])],
)
async def test_whatever_a_store_raises_is_unavailable_and_never_no_session(
    error: Exception,
) -> None:
    store = InstrumentedStore(Broken(error), "sqlite", Metrics())  # type: ignore[arg-type]
    with pytest.raises(WouldBlock):
        store.get_nowait(GOOD, NOW)
    with pytest.raises(WouldBlock):
        store.revoked_before_nowait([GOOD], NOW)
    for operation, arguments in OPERATIONS.items():
        with pytest.raises(StoreUnavailable):
            await getattr(store, operation)(*arguments)
