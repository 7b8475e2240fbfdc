"""Revocations in the memory of one process, for cookie sessions without a shared store.

Bounded, and lost when the process ends. Another process does not know them: there, a login attempt
that was used here can be tried once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# Of each kind, about 20 MB in all. Beyond it the oldest is forgotten.
MAX_ENTRIES = 100_000


@dataclass(frozen=True, slots=True)
class _Revocation:
    at: int
    expires: int


class MemoryRevocations:
    """Revocations that this process alone knows."""

    def __init__(self, most: int = MAX_ENTRIES) -> None:
        """Take the largest number of entries of each kind."""
        self._most = most
        self._used: dict[bytes, int] = {}
        self._revoked: dict[bytes, _Revocation] = {}

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        if self._used.get(key, 0) > now:
            return False
        # Removed first, so that the entry becomes the newest of the dictionary.
        self._used.pop(key, None)
        self._used[key] = expires
        if len(self._used) > self._most:
            del self._used[next(iter(self._used))]
        return True

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        earlier = self._revoked.pop(key, _Revocation(0, 0))
        self._revoked[key] = _Revocation(max(at, earlier.at), max(expires, earlier.expires))
        if len(self._revoked) > self._most:
            del self._revoked[next(iter(self._revoked))]

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        known = (self._revoked[key] for key in keys if key in self._revoked)
        return max((entry.at for entry in known if entry.expires > now), default=0)

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        return self.revoked_before_nowait(keys, now)

    @property
    def missing(self) -> str | None:
        return None

    async def start(self) -> None:
        """Do nothing: there is no background work."""

    async def aclose(self) -> None:
        self._used.clear()
        self._revoked.clear()
