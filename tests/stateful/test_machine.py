"""The machine over the whole gateway, the same steps each time. For hours and with other steps: tests/stateful/run."""

import pytest

from stateful.running import explore
from stateful.world import STORES, World

EXAMPLES = 12


@pytest.mark.parametrize("store", STORES)
def test_whatever_people_siblings_providers_and_strangers_do_nobody_is_somebody_else_and_everybody_is_served(
    store: str,
) -> None:
    with World(store) as world:
        outcome = explore(world, examples=EXAMPLES)
    print(outcome)
    assert outcome.violation is None, str(outcome)
