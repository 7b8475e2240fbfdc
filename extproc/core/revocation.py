"""The time of a revocation: in milliseconds, so that a login a moment after a logout counts.

Older releases wrote whole seconds. Such a revocation covers its whole second.
"""

# Seconds reach this number in the year 5138, and milliseconds passed it in 1973.
_MILLISECONDS_FROM = 100_000_000_000


def written(now: float) -> int:
    """The time as stores keep it, in milliseconds since the epoch.

    now: seconds since the epoch.
    """
    return int(now * 1000)


def read(at: int) -> int:
    """The last millisecond of a time that a store has kept; 0 for no revocation.

    at: in milliseconds since the epoch, or in seconds if an older release wrote it.
    """
    return at * 1000 + 999 if 0 < at < _MILLISECONDS_FROM else at
