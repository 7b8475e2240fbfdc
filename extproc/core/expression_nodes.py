"""What an expression consists of, and the value of each part.

A part has the value that CEL's specification gives it. An absent claim or member, or an operation
on values of another type, is a Fault.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any, Literal, Protocol

from extproc.core.expression_values import CHARACTERS, Fault, Run, equal, is_number

# by name, of values that were found to have an order
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}


class Node(Protocol):
    """A part of an expression."""

    def value(self, run: Run) -> object:
        """Its value. Raises Fault or Exhausted."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that is written out."""

    constant: str | bool | int | float | None

    def value(self, run: Run) -> object:
        run.spend()
        return self.constant


@dataclass(frozen=True, slots=True)
class Items:
    """A list that is written out."""

    items: tuple[Node, ...]

    def value(self, run: Run) -> object:
        run.spend()
        return [item.value(run) for item in self.items]


@dataclass(frozen=True, slots=True)
class AllClaims:
    """The variable `claims`."""

    def value(self, run: Run) -> object:
        run.spend()
        return run.claims


@dataclass(frozen=True, slots=True)
class Variable:
    """The element that a macro looks at."""

    name: str

    def value(self, run: Run) -> object:
        run.spend()
        return run.variables[self.name]


@dataclass(frozen=True, slots=True)
class Member:
    """of.name, and has(of.name) if `asked`."""

    of: Node
    name: str
    asked: bool = False

    def value(self, run: Run) -> object:
        run.spend()
        of = self.of.value(run)
        if not isinstance(of, Mapping):
            raise Fault
        if self.asked:
            return self.name in of
        if self.name not in of:
            raise Fault
        return of[self.name]


@dataclass(frozen=True, slots=True)
class Index:
    """of[at]."""

    of: Node
    at: Node

    def value(self, run: Run) -> object:
        run.spend()
        of, at = self.of.value(run), self.at.value(run)
        if isinstance(of, Mapping) and isinstance(at, str) and at in of:
            return of[at]
        if isinstance(of, list | tuple) and type(at) is int and 0 <= at < len(of):
            return of[at]
        raise Fault


@dataclass(frozen=True, slots=True)
class Not:
    """!operand."""

    operand: Node

    def value(self, run: Run) -> object:
        run.spend()
        truth = _truth(self.operand, run)
        if truth is None:
            raise Fault
        return not truth


@dataclass(frozen=True, slots=True)
class Logical:
    """left && right, where False decides, and left || right, where True does."""

    decisive: bool
    left: Node
    right: Node

    def value(self, run: Run) -> object:
        run.spend()
        return _folded(self.decisive, (_truth(each, run) for each in (self.left, self.right)))


@dataclass(frozen=True, slots=True)
class Macro:
    """over.all(variable, condition), where False decides, and over.exists(...), where True does."""

    decisive: bool
    over: Node
    variable: str
    condition: Node

    def value(self, run: Run) -> object:
        run.spend()
        over = self.over.value(run)
        if not isinstance(over, list | tuple | Mapping):
            raise Fault
        outer = dict(run.variables)
        try:
            return _folded(self.decisive, (self._truth_for(each, run) for each in over))
        finally:
            run.variables = outer

    def _truth_for(self, element: object, run: Run) -> bool | None:
        run.spend()
        run.variables[self.variable] = element
        return _truth(self.condition, run)


@dataclass(frozen=True, slots=True)
class Conditional:
    """condition ? then : otherwise."""

    condition: Node
    then: Node
    otherwise: Node

    def value(self, run: Run) -> object:
        run.spend()
        truth = _truth(self.condition, run)
        if truth is None:
            raise Fault
        return (self.then if truth else self.otherwise).value(run)


@dataclass(frozen=True, slots=True)
class Equals:
    """left == right; left != right is its Not."""

    left: Node
    right: Node

    def value(self, run: Run) -> object:
        run.spend()
        return equal(self.left.value(run), self.right.value(run), run)


@dataclass(frozen=True, slots=True)
class Ordered:
    """left < right, and so on: of two numbers, two texts, or two truths."""

    order: Literal["<", "<=", ">", ">="]
    left: Node
    right: Node

    def value(self, run: Run) -> object:
        run.spend()
        left, right = self.left.value(run), self.right.value(run)
        if isinstance(left, str) and isinstance(right, str):
            run.spend(min(len(left), len(right)) // CHARACTERS)
        elif not (is_number(left) and is_number(right)) and not (
            isinstance(left, bool) and isinstance(right, bool)
        ):
            raise Fault
        return _ORDERS[self.order](left, right)


@dataclass(frozen=True, slots=True)
class In:
    """item in of: of the elements of a list, or of the keys of an object."""

    item: Node
    of: Node

    def value(self, run: Run) -> object:
        run.spend()
        item, of = self.item.value(run), self.of.value(run)
        if isinstance(of, Mapping) and isinstance(item, str | bool | int | float):
            return isinstance(item, str) and item in of
        if not isinstance(of, list | tuple):
            raise Fault
        return any(equal(item, each, run) for each in of)


@dataclass(frozen=True, slots=True)
class Size:
    """size(operand): characters, elements or members."""

    operand: Node

    def value(self, run: Run) -> object:
        run.spend()
        operand = self.operand.value(run)
        if not isinstance(operand, str | list | tuple | Mapping):
            raise Fault
        return len(operand)


@dataclass(frozen=True, slots=True)
class TextTest:
    """text.startsWith(part), text.endsWith(part), text.contains(part)."""

    name: Literal["startsWith", "endsWith", "contains"]
    text: Node
    part: Node

    def value(self, run: Run) -> object:
        run.spend()
        text, part = self.text.value(run), self.part.value(run)
        if not isinstance(text, str) or not isinstance(part, str):
            raise Fault
        if self.name == "contains":
            # At its worst, a search compares the part at every place of the text.
            run.spend(len(text) * (1 + len(part)) // (4 * CHARACTERS))
            return part in text
        run.spend(len(part) // CHARACTERS)
        return text.startswith(part) if self.name == "startsWith" else text.endswith(part)


def _truth(node: Node, run: Run) -> bool | None:
    """Whether a part is true; None for a fault, and for a value that is neither true nor false."""
    try:
        value = node.value(run)
    except Fault:
        return None
    return value if isinstance(value, bool) else None


def _folded(decisive: bool, truths: Iterable[bool | None]) -> bool:
    """What truths come to, of which one that is decisive decides. Raises Fault if none is, and one
    of them is unknown.
    """
    unknown = False
    for truth in truths:
        if truth is decisive:
            return decisive
        unknown = unknown or truth is None
    if unknown:
        raise Fault
    return not decisive
