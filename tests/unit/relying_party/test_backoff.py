"""Backoff: pauses that double, to a limit, and are forgotten after a success."""

from extproc.relying_party.backoff import Backoff


def test_each_failure_doubles_the_pause_to_a_limit() -> None:
    backoff = Backoff[str](10, 60, most=100)
    assert [backoff.failed("key", 0) for _ in range(5)] == [10, 20, 40, 60, 60]
    assert backoff.failed("another key", 0) == 10


def test_a_key_is_not_tried_until_its_pause_is_over() -> None:
    backoff = Backoff[str](10, 60, most=100)
    assert not backoff.active("key", 1000)
    backoff.failed("key", 1000)
    assert backoff.active("key", 1000) and backoff.active("key", 1009)
    assert not backoff.active("key", 1010) and not backoff.active("another key", 1000)


def test_a_success_ends_the_pause_and_the_next_failure_is_the_first() -> None:
    backoff = Backoff[str](10, 60, most=100)
    for _ in range(3):
        backoff.failed("key", 0)
    backoff.succeeded("key")
    backoff.succeeded("another key")
    assert not backoff.active("key", 1)
    assert backoff.failed("key", 0) == 10


def test_a_clock_that_is_set_back_makes_no_pause_longer() -> None:
    backoff = Backoff[str](10, 60, most=100)
    backoff.failed("key", 10_000)
    assert not backoff.active("key", 6_400)


def test_not_too_many_keys_are_remembered_and_the_oldest_failure_is_forgotten_first() -> None:
    backoff = Backoff[int](10, 60, most=100)
    for key in range(100):
        backoff.failed(key, 0)
    backoff.failed(0, 0)  # now the newest
    backoff.failed(100, 0)
    assert [key for key in range(101) if not backoff.active(key, 1)] == [1]
