"""What evaluating an expression costs, and how its values are compared."""

from collections.abc import Iterable, Mapping
from typing import Any

# A value that is nested more deeply equals nothing.
MAX_DEPTH = 50
# characters that are compared in one step
CHARACTERS = 64


class Fault(Exception):
    """A part of an expression has no value."""


class Exhausted(Exception):
    """The steps are used up."""


class Run:
    """One evaluation: the claims, the variables of macros, and the steps that are left."""

    __slots__ = ("claims", "steps", "variables")

    def __init__(self, claims: Mapping[str, Any], steps: int) -> None:
        self.claims = claims
        self.steps = steps
        self.variables: dict[str, object] = {}

    def spend(self, steps: int = 1) -> None:
        """Take steps. Raises Exhausted if they are not left."""
        self.steps -= steps
        if self.steps < 0:
            raise Exhausted


def is_number(value: object) -> bool:
    """Whether a value is a number, which true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(one: object, other: object, run: Run, depth: int = 0) -> bool:
    """Whether two values are equal. Numbers are compared as numbers, true and false are none.

    Raises Exhausted.
    """
    run.spend()
    if depth > MAX_DEPTH:
        raise Exhausted
    if isinstance(one, str) and isinstance(other, str):
        run.spend(min(len(one), len(other)) // CHARACTERS)
        return one == other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and _all_equal(zip(one, other, strict=True), run, depth)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        run.spend(len(one))
        if one.keys() != other.keys():
            return False
        return _all_equal(((one[key], other[key]) for key in one), run, depth)
    if is_number(one) and is_number(other):
        return one == other
    return type(one) is type(other) and one == other


def _all_equal(pairs: Iterable[tuple[object, object]], run: Run, depth: int) -> bool:
    return all(equal(one, other, run, depth + 1) for one, other in pairs)
