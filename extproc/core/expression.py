"""Expressions about a user's claims: the part of CEL (https://cel.dev) that `allow` may use.

CEL's own compiler reads an expression when the settings are read (settings/expression.py). It is
evaluated here, because a user and a provider may bring claims of any form: evaluation is total, and
takes a number of steps that is bounded. A step is about as much work as looking at one value.

What has no value in CEL is a fault: a claim or member that is absent, an operation on values of
another type. `&&`, `||`, `all` and `exists` have a value nevertheless if their other operands
decide (CEL's specification, "Logical Operators"). An expression holds only if its value is true.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from extproc.core.expression_nodes import Node
from extproc.core.expression_values import Exhausted, Fault, Run

# what one user may cost, for all expressions of an application together: a few milliseconds
MAX_STEPS = 20_000


@dataclass(frozen=True)
class Expression:
    """A condition about a user's claims. Two of one text are equal.

    Attributes:
        text: as the settings have it.
        claims: the names of the claims that it is about.
        root: what it consists of.
    """

    text: str
    claims: frozenset[str]
    root: Node = field(repr=False, compare=False)

    def evaluate(self, claims: Mapping[str, Any], steps: int) -> tuple[bool, int]:
        """Whether the expression is true, and how many steps are left.

        It is not true where it has no value, where its value is neither true nor false, and where
        the steps do not suffice.

        Args:
            claims: the user's claims, as JSON has them.
            steps: how many steps it may take.
        """
        run = Run(claims, steps)
        try:
            return self.root.value(run) is True, run.steps
        except (Fault, Exhausted):
            return False, max(run.steps, 0)


def holding(expressions: Iterable[Expression], claims: Mapping[str, Any]) -> frozenset[str]:
    """The texts of the expressions that are true for a user's claims."""
    steps = MAX_STEPS
    true: set[str] = set()
    for expression in expressions:
        holds, steps = expression.evaluate(claims, steps)
        if holds:
            true.add(expression.text)
    return frozenset(true)
