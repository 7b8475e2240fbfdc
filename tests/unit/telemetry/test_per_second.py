"""A limit for each second."""

from extproc.telemetry.per_second import PerSecond


def test_of_a_flood_so_many_pass_in_each_second():
    now = [0]
    limit = PerSecond(2, lambda: now[0])
    assert [limit.passes() for _ in range(4)] == [True, True, False, False]
    now[0] = 999_999_999
    assert not limit.passes()
    now[0] = 1_000_000_000
    assert [limit.passes() for _ in range(3)] == [True, True, False]
