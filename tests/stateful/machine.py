"""The machine: whoever is at the browsers, on a sibling host, at a provider or anywhere, in any
order; and what must hold after each step.
"""

from hypothesis.stateful import RULE_MARKER

from stateful.attackers import Attackers
from stateful.people import People


class Gateway(People, Attackers):
    """Give `world` in a subclass."""


RULES = tuple(name for name in dir(Gateway) if hasattr(getattr(Gateway, name), RULE_MARKER))


def only(machine: type[Gateway], *names: str) -> type[Gateway]:
    """The same machine with these rules alone."""
    others = [name for name in RULES if name not in names]
    assert len(others) + len(names) == len(RULES), f"unknown among {names}"
    return type(f"Only{machine.__name__}", (machine,), dict.fromkeys(others))
