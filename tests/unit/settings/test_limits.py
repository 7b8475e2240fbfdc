"""Settings of deadlines and limits."""

import pytest

from extproc.settings import Timeouts


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({"timeouts": {"call": True}}, ": timeouts.call: a duration is"),
        ({"timeouts": {"clock_skew": 61}}, ": timeouts.clock_skew: "),
        ({"limits": {"callback": 0}}, ": limits.callback: "),
    ],
)
def test_a_wrong_limit_is_explained_in_one_line(fault, change, explanation):
    assert explanation in fault(change)


@pytest.mark.parametrize(("callback", "longest"), [(15, 15), (8, 10)])
def test_the_longest_work_is_a_callback_or_two_calls(callback, longest):
    assert Timeouts(call=5, callback=callback).longest_held == longest
