"""How much may be in hand at once: of streams, of each kind of held work, and of callbacks at one
provider.

Where the process may have few file descriptors, they bound the work that calls a provider, in all
lanes together. A lane that is full refuses at once, before anything is consumed. Slots are given
back when the work has ended, which may be after its client has left.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from extproc.core.errors import Overloaded
from extproc.settings import Limits

KINDS = ("callback", "login", "lookup", "refresh", "logout", "provider_logout", "live")
# each may have a connection of its own to a provider
CALLING = ("callback", "refresh", "logout", "provider_logout")
# for everything else: listeners, Envoy's connections, the store, connections that are kept alive
DESCRIPTORS = 96


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """A place that somebody has; since: seconds on the clock of Admission."""

    kind: str
    provider: str
    since: float


class Admission:
    """Not thread-safe, and need not be: both lanes run on one thread. descriptors: that the process
    may have; None: any number.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        descriptors: int | None = None,
    ) -> None:
        self.limits, self._clock = limits, clock
        # the oldest first
        self._taken: dict[str, dict[Permit, None]] = {kind: {} for kind in KINDS}
        self._callbacks: Counter[str] = Counter()
        self.streams = 0
        self._room = max(descriptors - DESCRIPTORS, 8) if descriptors is not None else None

    def acquire(self, kind: str, provider: str) -> Permit:
        """A place in the lane. Raises Overloaded. kind: one of KINDS."""
        if len(self._taken[kind]) >= getattr(self.limits, kind):
            raise Overloaded(f"the lane for {kind} is full (limits.{kind})")
        if kind == "callback" and self._callbacks[provider] >= self.limits.per_provider:
            raise Overloaded(
                f"the callbacks at provider {provider} are at their limit (limits.per_provider)"
            )
        if (
            self._room is not None
            and kind in CALLING
            and sum(map(self.held, CALLING)) >= self._room
        ):
            raise Overloaded(
                f"file descriptors for {self._room} calls to providers, and no more (ulimit -n)"
            )
        permit = Permit(kind, provider, self._clock())
        self._taken[kind][permit] = None
        if kind == "callback":
            self._callbacks[provider] += 1
        return permit

    def release(self, permit: Permit) -> None:
        del self._taken[permit.kind][permit]
        if permit.kind == "callback":
            self._callbacks[permit.provider] -= 1

    @property
    def over_limit(self) -> bool:
        """More streams than may be in hand."""
        return self.streams > self.limits.streams

    def held(self, kind: str) -> int:
        return len(self._taken[kind])

    def oldest(self, kind: str) -> float:
        """Seconds that the oldest of a kind has its place; 0 where nobody has one."""
        permit = next(iter(self._taken[kind]), None)
        return self._clock() - permit.since if permit is not None else 0.0

    def gauges(self) -> tuple[tuple[str, int], ...]:
        """What is in hand now: streams, and the places taken of each kind."""
        return (("streams", self.streams), *((f"held.{kind}", self.held(kind)) for kind in KINDS))
