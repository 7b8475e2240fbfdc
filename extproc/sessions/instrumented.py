"""A store that measures the operations of another: their duration, and whether they failed.

Operations on the event loop (`..._nowait`) are not measured: they are a part of the fast path.
"""

import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

from extproc import background
from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.metrics import Metrics
from extproc.sessions.store import SessionStore, WouldBlock

P = ParamSpec("P")
T = TypeVar("T")


def _operation(
    name: str, method_of: Callable[[SessionStore], Callable[P, Awaitable[T]]]
) -> Callable[Concatenate["InstrumentedStore", P], Coroutine[Any, Any, T]]:
    """Make the method that does an operation of the inner store and measures it.

    Args:
        name: of the operation, as a label of the metrics.
        method_of: gives the inner store's method.

    Returns:
        A method with the parameters and the result of the inner store's one.
    """

    async def measured(self: "InstrumentedStore", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.measure(name, method_of(self.inner)(*args, **kwargs))

    return measured


class InstrumentedStore:
    """A SessionStore that measures each operation of an inner store.

    An unexpected exception of the inner store (garbage in the store, or a bug) becomes
    StoreUnavailable, so that it refuses requests and never counts as "no session".
    """

    def __init__(self, inner: SessionStore, kind: str, metrics: Metrics) -> None:
        """
        Args:
            inner: the store that does the work.
            kind: of the store, as the settings call it; a label of the metrics.
            metrics: where the measurements go.
        """
        self.inner = inner
        self._kind = kind
        self._metrics = metrics

    get = _operation("get", lambda store: store.get)
    put = _operation("put", lambda store: store.put)
    touch = _operation("touch", lambda store: store.touch)
    delete = _operation("delete", lambda store: store.delete)
    tagged = _operation("tagged", lambda store: store.tagged)
    tagged_page = _operation("tagged_page", lambda store: store.tagged_page)
    end = _operation("end", lambda store: store.end)
    page = _operation("page", lambda store: store.page)
    count = _operation("count", lambda store: store.count)
    lock = _operation("lock", lambda store: store.lock)
    unlock = _operation("unlock", lambda store: store.unlock)
    replace = _operation("replace", lambda store: store.replace)
    use_once = _operation("use_once", lambda store: store.use_once)
    revoke_before = _operation("revoke_before", lambda store: store.revoke_before)
    revoked_before = _operation("revoked_before", lambda store: store.revoked_before)

    async def measure(self, operation: str, work: Awaitable[T]) -> T:
        """Await the work of an operation, and record how long it took and whether it failed."""
        started = time.perf_counter()
        failed = False
        try:
            return await work
        except StoreUnavailable:
            failed = True
            raise
        except Exception as error:
            failed = True
            background.bug("store_failed", error, store=self._kind, operation=operation)
            detail = f"{self._kind}: {operation} met {type(error).__qualname__}"
            raise StoreUnavailable(detail) from error
        finally:
            seconds = time.perf_counter() - started
            self._metrics.stored(self._kind, operation, seconds, failed=failed)

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        with _blocking_after_errors():
            return self.inner.get_nowait(key, now)

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        with _blocking_after_errors():
            return self.inner.revoked_before_nowait(keys, now)

    @property
    def missing(self) -> str | None:
        return self.inner.missing

    async def start(self) -> None:
        await self.inner.start()

    async def aclose(self) -> None:
        await self.inner.aclose()


@contextmanager
def _blocking_after_errors() -> Iterator[None]:
    """Turn an unexpected exception into WouldBlock.

    The request then asks again in the held lane, where the exception is logged.
    """
    try:
        yield
    except WouldBlock:
        raise
    except Exception as error:
        raise WouldBlock from error
