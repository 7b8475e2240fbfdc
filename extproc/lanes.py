"""How much may be in hand at once: of streams, of each kind of held work, and of callbacks at one provider.

A lane that is full refuses at once, before anything is consumed. Slots are given back when the work has ended, which may be after
its client has left.
"""

from collections import Counter
from dataclasses import dataclass

from extproc.oidc.errors import Overloaded
from extproc.settings import Limits

KINDS = ("callback", "login", "lookup", "refresh", "logout", "provider_logout", "live")


@dataclass(frozen=True, slots=True)
class Slot:
    kind: str
    provider: str


class Lanes:
    """Not thread-safe, and need not be: both lanes run on one thread."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._kinds: Counter[str] = Counter()
        self._callbacks: Counter[str] = Counter()
        self.streams = 0

    def enter(self, kind: str, provider: str) -> Slot:
        """A place in the lane. Raises Overloaded. kind: one of KINDS."""
        if self._kinds[kind] >= getattr(self.limits, kind):
            raise Overloaded(f"the lane for {kind} is full (limits.{kind})")
        if kind == "callback" and self._callbacks[provider] >= self.limits.per_provider:
            raise Overloaded(f"the callbacks at provider {provider} are at their limit (limits.per_provider)")
        self._kinds[kind] += 1
        if kind == "callback":
            self._callbacks[provider] += 1
        return Slot(kind, provider)

    def leave(self, slot: Slot) -> None:
        self._kinds[slot.kind] -= 1
        if slot.kind == "callback":
            self._callbacks[slot.provider] -= 1

    @property
    def crowded(self) -> bool:
        """More streams than may be in hand."""
        return self.streams > self.limits.streams

    def held(self, kind: str) -> int:
        return self._kinds[kind]

    def gauges(self) -> tuple[tuple[str, int], ...]:
        """What is in hand now: streams, and the places taken of each kind."""
        return (("streams", self.streams), *((f"held.{kind}", self._kinds[kind]) for kind in KINDS))
