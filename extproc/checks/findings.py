"""What a check found."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "ok"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. part: a settings key, or what of the whole it is about. remedy:
    what to do, '' where all is well.
    """

    level: Level
    part: str
    what: str
    remedy: str = ""


def error(part: str, what: str, remedy: str) -> Finding:
    return Finding("error", part, what, remedy)


def warning(part: str, what: str, remedy: str) -> Finding:
    return Finding("warning", part, what, remedy)


def ok(part: str, what: str) -> Finding:
    return Finding("ok", part, what)
