"""What the verification of a token came to, for a while."""

import pytest

from extproc.relying_party.token_cache import TokenCache


@pytest.fixture
def now():
    return [1000.0]


@pytest.fixture
def cache(now):
    return TokenCache[str](60, 3, 100, lambda: now[0])


def test_a_value_counts_for_its_seconds_and_is_then_gone(cache, now):
    cache.put(b"a", "one", 10)
    now[0] += 59.9
    assert cache.get(b"a") == "one" and cache.get(b"b") is None
    now[0] += 0.1
    assert cache.get(b"a") is None and len(cache) == 0


def test_a_value_that_is_put_again_counts_anew(cache, now):
    cache.put(b"a", "one", 10)
    now[0] += 59
    cache.put(b"a", "two", 10)
    now[0] += 59
    assert cache.get(b"a") == "two" and len(cache) == 1


def test_the_oldest_go_where_there_are_too_many(cache):
    for key in (b"a", b"b", b"c"):
        cache.put(key, "x", 1)
    cache.put(b"a", "y", 1)
    cache.put(b"d", "x", 1)
    assert [cache.get(key) for key in (b"a", b"b", b"c", b"d")] == ["y", None, "x", "x"]


def test_the_oldest_go_where_all_are_too_large(cache):
    cache.put(b"a", "x", 50)
    cache.put(b"b", "x", 50)
    assert len(cache) == 2
    cache.put(b"c", "x", 1)
    assert cache.get(b"a") is None and cache.get(b"b") == "x"
    cache.put(b"d", "x", 101)
    assert len(cache) == 0
    cache.put(b"e", "x", 100)
    assert cache.get(b"e") == "x"


def test_what_is_dropped_takes_no_room(cache, now):
    for _ in range(20):
        cache.put(b"a", "x", 60)
    cache.put(b"b", "x", 40)
    assert len(cache) == 2
    now[0] += 60
    assert cache.get(b"a") is None and cache.get(b"b") is None
    cache.put(b"c", "x", 100)
    assert cache.get(b"c") == "x"
