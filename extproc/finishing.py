"""What is finished whoever leaves: shielded from that, not from the deadline that is in force. Runs in trio."""

from contextlib import AbstractContextManager

import trio

GRACE = 4.0  # seconds; less than Envoy waits beyond our deadline


def finished() -> AbstractContextManager[trio.CancelScope]:
    """Raises TooSlowError at the deadline. Where the client had left before this began, what that was is not known any more: GRACE."""
    deadline = trio.current_effective_deadline()
    return trio.fail_at(deadline if deadline > -float("inf") else trio.current_time() + GRACE, shield=True)
