"""The machine: users, a sibling host, a provider and strangers in any order, and the invariants."""

from hypothesis.stateful import RULE_MARKER

from stateful.attackers import Attackers
from stateful.people import People


class Gateway(People, Attackers):
    """All rules and invariants. A subclass gives `world`."""


RULES = tuple(name for name in dir(Gateway) if hasattr(getattr(Gateway, name), RULE_MARKER))


def only(machine: type[Gateway], *names: str) -> type[Gateway]:
    """The machine with only these rules."""
    others = [name for name in RULES if name not in names]
    assert len(others) + len(names) == len(RULES), f"unknown among {names}"
    return type(f"Only{machine.__name__}", (machine,), dict.fromkeys(others))
