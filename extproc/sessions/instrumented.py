"""A store whose operations are measured: how long each took, and whether it failed. A peek, on the
event loop, is not.
"""

import time
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from extproc import background
from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.metrics import Metrics
from extproc.sessions.interfaces import Page, SessionStore, WouldBlock

T = TypeVar("T")


@contextmanager
def _or_busy() -> Iterator[None]:
    """What a peek does not understand is asked for again, in the held lane, which says what is
    wrong.
    """
    try:
        yield
    except WouldBlock:
        raise
    except Exception as error:
        raise WouldBlock from error


class InstrumentedStore:
    """See SessionStore. kind: the store's, as the settings call it."""

    def __init__(self, store: SessionStore, kind: str, metrics: Metrics) -> None:
        self._store, self._kind, self._metrics = store, kind, metrics

    async def _measured(self, operation: str, work: Awaitable[T]) -> T:
        started, failed = time.perf_counter(), False
        try:
            return await work
        except StoreUnavailable:
            failed = True
            raise
        except Exception as error:
            # garbage in the store, or a bug: a refusal, and never "no session"
            failed = True
            background.bug("store_failed", error, store=self._kind, operation=operation)
            raise StoreUnavailable(
                f"{self._kind}: {operation} met {type(error).__qualname__}"
            ) from error
        finally:
            self._metrics.stored(
                self._kind, operation, time.perf_counter() - started, failed=failed
            )

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        with _or_busy():
            return self._store.get_nowait(key, now)

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        with _or_busy():
            return self._store.revoked_before_nowait(keys, now)

    async def get(self, key: bytes, now: int) -> Record | None:
        return await self._measured("get", self._store.get(key, now))

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        await self._measured("put", self._store.put(record, replaces))

    async def touch(self, key: bytes, now: int) -> None:
        await self._measured("touch", self._store.touch(key, now))

    async def delete(self, key: bytes) -> None:
        await self._measured("delete", self._store.delete(key))

    async def tagged(self, tag: bytes, now: int) -> tuple[Record, ...]:
        return await self._measured("tagged", self._store.tagged(tag, now))

    async def end(self, tag: bytes, now: int) -> int:
        return await self._measured("end", self._store.end(tag, now))

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        return await self._measured("page", self._store.page(after, limit, now))

    async def count(self, now: int) -> int | None:
        return await self._measured("count", self._store.count(now))

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        return await self._measured("lock", self._store.lock(key, owner, seconds, now))

    async def unlock(self, key: bytes, owner: bytes) -> None:
        await self._measured("unlock", self._store.unlock(key, owner))

    async def replace(self, record: Record, owner: bytes, now: int) -> bool:
        return await self._measured("replace", self._store.replace(record, owner, now))

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        return await self._measured("use_once", self._store.use_once(key, expires, now))

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        await self._measured("revoke_before", self._store.revoke_before(key, at, expires))

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        return await self._measured("revoked_before", self._store.revoked_before(keys, now))

    @property
    def missing(self) -> str | None:
        return self._store.missing

    async def start(self) -> None:
        await self._store.start()

    async def aclose(self) -> None:
        await self._store.aclose()
