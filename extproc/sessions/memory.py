"""Revocations of one process, where no store shares them: bounded, and gone when it ends."""

from collections.abc import Sequence

MAX_MARKS = 100_000  # of each sort, about 20 MB in all; beyond it the oldest goes


class MemoryRevocations:
    """See Revocations. What this process has not seen it does not know: another one lets a used
    login be tried again.
    """

    def __init__(self, most: int = MAX_MARKS) -> None:
        self._most = most
        self._claimed: dict[bytes, int] = {}
        self._graves: dict[bytes, tuple[int, int]] = {}

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        if self._claimed.get(key, 0) > now:
            return False
        self._claimed.pop(key, None)  # so that it is the newest again
        self._claimed[key] = expires
        if len(self._claimed) > self._most:
            del self._claimed[next(iter(self._claimed))]
        return True

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        before = self._graves.pop(key, (0, 0))
        self._graves[key] = (max(at, before[0]), max(expires, before[1]))
        if len(self._graves) > self._most:
            del self._graves[next(iter(self._graves))]

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        graves = (self._graves.get(key, (0, 0)) for key in keys)
        return max((at for at, expires in graves if expires > now), default=0)

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        return self.revoked_before_nowait(keys, now)

    @property
    def missing(self) -> str | None:
        return None

    async def start(self) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        self._claimed.clear()
        self._graves.clear()
