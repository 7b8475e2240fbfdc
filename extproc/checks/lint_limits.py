"""Warns of limits and timeouts that contradict each other, or the limits of the process."""

import resource
from collections.abc import Iterator

from extproc.checks.findings import Finding, warning
from extproc.envoyconfig.clusters import STREAMS_PER_CONNECTION
from extproc.settings import Settings

# File descriptors in addition to those of calls: connections of Envoy, idle ones, store, log.
_SPARE_DESCRIPTORS = 200


def lint_limits(settings: Settings, descriptors: int) -> Iterator[Finding]:
    """A warning for each limit or timeout that is seldom meant.

    Args:
        settings: valid settings.
        descriptors: how many file descriptors a process may open.
    """
    yield from _streams(settings)
    yield from _per_provider(settings)
    yield from _descriptors(settings, descriptors)
    yield from _timeouts(settings)


def _streams(settings: Settings) -> Iterator[Finding]:
    limits = settings.limits
    held = (
        limits.callback
        + limits.login
        + limits.lookup
        + limits.refresh
        + limits.logout
        + limits.provider_logout
    )
    if held >= limits.streams:
        yield warning(
            "limits.streams",
            f"{limits.streams} leaves nothing for other requests: callback, login, lookup, "
            f"refresh, logout and provider_logout may hold {held} together, and when they do, "
            "every request gets 503",
            f"raise it above {held}, or lower those",
        )


def _per_provider(settings: Settings) -> Iterator[Finding]:
    limits = settings.limits
    if limits.per_provider > limits.callback:
        yield warning(
            "limits.per_provider",
            f"{limits.per_provider} is never reached, because limits.callback, "
            f"{limits.callback}, is for all providers together",
            f"lower it to {limits.callback} or less",
        )
    elif limits.per_provider == limits.callback and len(settings.providers) > 1:
        yield warning(
            "limits.per_provider",
            f"is all of limits.callback, {limits.callback}, so one slow provider stops the "
            f"logins of the other {len(settings.providers) - 1}",
            f"lower it, to {limits.callback // 2} for example",
        )
    if limits.connects > limits.per_provider:
        yield warning(
            "limits.connects",
            f"{limits.connects} is never reached, because limits.per_provider is "
            f"{limits.per_provider}",
            "lower it",
        )


def _descriptors(settings: Settings, available: int) -> Iterator[Finding]:
    """A held callback has a connection to its provider, as every other call has."""
    limits = settings.limits
    callbacks = min(limits.callback, limits.per_provider * max(len(settings.providers), 1))
    needed = callbacks + limits.streams // STREAMS_PER_CONNECTION + _SPARE_DESCRIPTORS
    if available != resource.RLIM_INFINITY and needed > available:
        yield warning(
            "limits.callback",
            f"{callbacks} simultaneous logins need about {needed} file descriptors, and this "
            f"process may have {available}",
            "raise that limit (ulimit -Hn, LimitNOFILE=), or lower limits.callback or "
            "limits.per_provider",
        )


def _timeouts(settings: Settings) -> Iterator[Finding]:
    timeouts = settings.timeouts
    if timeouts.drain < timeouts.longest_held:
        yield warning(
            "timeouts.drain",
            f"{timeouts.drain:g} s is less than the {timeouts.longest_held:g} s that a held "
            "request may take (timeouts.callback, twice timeouts.call): a restart cuts logins off",
            f"raise it to {timeouts.longest_held:g} s",
        )
    if timeouts.call > timeouts.callback:
        yield warning(
            "timeouts.call",
            f"{timeouts.call:g} s is more than a whole callback may take, timeouts.callback: "
            f"{timeouts.callback:g} s; a callback makes two calls in sequence",
            "lower it",
        )
    if timeouts.connect >= timeouts.call:
        yield warning(
            "timeouts.connect",
            f"{timeouts.connect:g} s leaves nothing of timeouts.call, {timeouts.call:g} s, "
            "for an answer",
            "lower it",
        )
