"""Providers' answers in memory: many at once are bounded together, small ones are always read, and
what was read is given back.
"""

import pytest

from extproc.core.errors import Overloaded
from extproc.provider.limits import FREE, MemoryBudget, ResponseBody


def test_what_is_beyond_the_first_kilobytes_of_each_answer_is_bounded_in_all():
    bodies = MemoryBudget(most=100_000)
    with (
        ResponseBody(bodies) as first,
        ResponseBody(bodies) as second,
        ResponseBody(bodies) as small,
    ):
        for _ in range(10):
            first.add(b"x" * 10_000)
        assert bodies.held == 100_000 - FREE
        second.add(b"x" * FREE)
        second.add(b"x" * FREE)
        with pytest.raises(Overloaded):
            second.add(b"x")
        small.add(b"x" * FREE)
        assert bodies.held == 100_000
    assert bodies.held == 0
    with ResponseBody(bodies) as body:
        body.add(b"x" * 100_000)
        assert bytes(body.data) == b"x" * 100_000
