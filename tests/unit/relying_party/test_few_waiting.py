"""How many requests may wait for one provider."""

from contextlib import ExitStack

import pytest

from extproc.core.errors import Overloaded
from extproc.core.provider_errors import ProviderTimeout
from extproc.relying_party.few_waiting import FewWaiting


def test_few_wait_for_each_provider_and_a_place_is_free_again_whatever_ends_the_wait():
    few, full = FewWaiting(2), Overloaded("full")
    with ExitStack() as waiting:
        waiting.enter_context(few.one("main", full))
        waiting.enter_context(few.one("main", full))
        with pytest.raises(Overloaded), few.one("main", full):
            pass
        waiting.enter_context(few.one("other", full))
    for _ in range(3):
        with pytest.raises(ProviderTimeout), few.one("main", full):
            raise ProviderTimeout
    with few.one("main", full), few.one("main", full):
        pass
