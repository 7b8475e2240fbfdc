"""What a check reports: a Finding, and the functions that make one of each level."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "ok", "skipped"]
# What a level is called on a terminal.
WORDS: Mapping[Level, str] = {
    "error": "error",
    "warning": "warning",
    "ok": "ok",
    "skipped": "not looked at",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `part` is a settings key, or the part of the installation that the finding is about. `remedy`
    is what the operator can do; it is empty where the level is ok.
    """

    level: Level
    part: str
    what: str
    remedy: str = ""


def error(part: str, what: str, remedy: str) -> Finding:
    """A fault that keeps users from signing in, or lets requests through without a login."""
    return Finding("error", part, what, remedy)


def warning(part: str, what: str, remedy: str) -> Finding:
    """Something that may be meant, but seldom is."""
    return Finding("warning", part, what, remedy)


def skipped(part: str, why: str, remedy: str) -> Finding:
    """A part that was not looked at, so that nothing is known of it.

    Args:
        part: what was not looked at.
        why: the reason.
        remedy: how to have it looked at.
    """
    return Finding("skipped", part, why, remedy)


def ok(part: str, what: str) -> Finding:
    """A part that is as it should be."""
    return Finding("ok", part, what)


def counted(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
