"""Admission control: how many streams, and how much held work, the processor takes on together.

Each kind of step has its limit, and the work that calls providers is also bounded, for all kinds
together, by the file descriptors of the process. Callbacks have one more limit for each provider;
where there are several providers, each has no more than its share of the other kinds, and of the
file descriptors, so that a slow one leaves room for users of the others. Beyond a limit the
processor refuses immediately, before anything is consumed. A permit lasts until its work
has ended, which may be after the client has left.

What waits for its client, and for nothing else, gives way instead: the oldest permit of a full lane
is revoked for the newest request. A client that sends its request at once therefore gets in,
however many others are slow on purpose.
"""

import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType

from extproc.core.decisions import StepKind
from extproc.core.errors import Overloaded
from extproc.settings import Limits

# file descriptors for everything but calls to providers: listeners, Envoy's connections, the store,
# connections that are kept alive
RESERVED_DESCRIPTORS = 96
# calls to providers that are allowed however few file descriptors there are
FEWEST_CALLS = 8
CALLING = tuple(kind for kind in StepKind if kind.calls_provider)
# work that waits for one provider: calls, and logins that wait for its metadata
_WAITS_FOR_PROVIDER = frozenset((*CALLING, StepKind.LOGIN))


class Permit:
    """The right to do one piece of held work. Release it once, or use it in a `with` block.

    Attributes:
        kind: The kind of the work.
        provider: The name of the provider that the work concerns.
        since: When the permit was acquired, in seconds on the clock of Admission.
        give_way: Ends the work early; None for work that cannot be ended for other work.
        revoked: Whether the permit has been taken away for other work.
    """

    __slots__ = ("_admission", "give_way", "kind", "provider", "revoked", "since")

    def __init__(
        self,
        admission: "Admission",
        kind: StepKind,
        provider: str,
        since: float,
        give_way: Callable[[], None] | None = None,
    ) -> None:
        self._admission = admission
        self.kind = kind
        self.provider = provider
        self.since = since
        self.give_way = give_way
        self.revoked = False

    def release(self) -> None:
        """Make room for other work of its kind. Does nothing if the permit has been revoked."""
        if not self.revoked:
            self._admission.release(self)

    def __enter__(self) -> "Permit":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Admission:
    """Counts streams and permits. Not thread-safe, and need not be: both loops run on one thread.

    Args:
        limits: How many streams, and how much work of each kind, there may be.
        clock: Seconds, for the age of permits.
        descriptors: File descriptors that the process may have; None for any number.
        providers: How many providers there are.
    """

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        descriptors: int | None = None,
        providers: int = 1,
    ) -> None:
        self.limits = limits
        self.streams = 0
        self._clock = clock
        # the permits of each kind, the oldest first
        self._permits: dict[StepKind, dict[Permit, None]] = {kind: {} for kind in StepKind}
        self._held_at: Counter[tuple[StepKind, str]] = Counter()
        self._has_several = providers > 1
        self._most_calls: int | None = None
        if descriptors is not None:
            self._most_calls = max(descriptors - RESERVED_DESCRIPTORS, FEWEST_CALLS)

    def acquire(
        self, kind: StepKind, provider: str, give_way: Callable[[], None] | None = None
    ) -> Permit:
        """Return a permit for work of a kind that concerns a provider.

        Args:
            kind: The kind of the work.
            provider: The name of the provider.
            give_way: Ends the work soon. It is called, once at most, when the permit is revoked for
                other work. None: the work cannot be ended.

        Raises:
            Overloaded: The limit is reached, and no work of the kind can be ended.
        """
        if self.held(kind) >= self.limits.of(kind) and not self._revoke_oldest(kind):
            raise Overloaded(f"as many requests are held for {kind} as may be (limits.{kind})")
        self._check_share(kind, provider)
        if self._most_calls is not None and kind.calls_provider:
            self._check_descriptors(self._most_calls, provider)
        permit = Permit(self, kind, provider, self._clock(), give_way)
        self._permits[kind][permit] = None
        self._held_at[kind, provider] += 1
        return permit

    def _check_share(self, kind: StepKind, provider: str) -> None:
        """Raise Overloaded if a provider has its share of the work of a kind."""
        held = self._held_at[kind, provider]
        if kind is StepKind.CALLBACK and held >= self.limits.per_provider:
            raise Overloaded(
                f"the callbacks at provider {provider} are at their limit (limits.per_provider)"
            )
        share = self.limits.share(self.limits.of(kind))
        if self._has_several and kind in _WAITS_FOR_PROVIDER and held >= share:
            raise Overloaded(
                f"the requests held for {kind} at provider {provider} are at its share of "
                f"limits.{kind}, {share} (limits.per_provider)"
            )

    def _check_descriptors(self, most: int, provider: str) -> None:
        """Raise Overloaded if as many calls are under way as there are file descriptors for, or a
        provider has its share of them.
        """
        if sum(self.held(kind) for kind in CALLING) >= most:
            raise Overloaded(
                f"the file descriptors of this process allow {most} calls to providers at the "
                "same time (ulimit -n)"
            )
        share = self.limits.share(most)
        if self._has_several and sum(self._held_at[kind, provider] for kind in CALLING) >= share:
            raise Overloaded(
                f"the calls to provider {provider} are at its share of the file descriptors, "
                f"{share} (ulimit -n)"
            )

    def release(self, permit: Permit) -> None:
        """Take a permit back; its work has ended."""
        del self._permits[permit.kind][permit]
        self._held_at[permit.kind, permit.provider] -= 1

    def _revoke_oldest(self, kind: StepKind) -> bool:
        """Take the oldest permit of a kind away from its work; False if that work cannot end."""
        oldest = next(iter(self._permits[kind]))
        if oldest.give_way is None:
            return False
        self.release(oldest)
        oldest.revoked = True
        oldest.give_way()
        return True

    @property
    def over_limit(self) -> bool:
        """True when there are more streams than limits.streams.

        Streams that wait for a body are counted in their lane alone: a stranger decides how many
        there are, and they cost no work.
        """
        return self.streams - self.held(StepKind.BODY) > self.limits.streams

    def held(self, kind: StepKind) -> int:
        """How many permits of a kind are in use."""
        return len(self._permits[kind])

    @property
    def finishing(self) -> bool:
        """True while there is work that is finished even when its client has left."""
        return any(self.held(kind) for kind in CALLING)

    def oldest(self, kind: StepKind) -> float:
        """Age of the oldest permit of a kind in seconds; 0 when no permit is in use."""
        permit = next(iter(self._permits[kind]), None)
        return self._clock() - permit.since if permit is not None else 0.0

    def gauges(self) -> tuple[tuple[str, int], ...]:
        """The streams, and the permits in use of each kind, by name."""
        held = ((f"held.{kind}", self.held(kind)) for kind in StepKind)
        return (("streams", self.streams), *held)
