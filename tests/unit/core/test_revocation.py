"""The time of a revocation: milliseconds, and what older releases wrote in seconds."""

import pytest

from extproc.core import revocation

NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("at", "last"),
    [(0, 0), (NOW, NOW * 1000 + 999), (NOW * 1000, NOW * 1000), (NOW * 1000 + 7, NOW * 1000 + 7)],
)
def test_a_time_in_seconds_covers_its_whole_second(at, last):
    assert revocation.read(at) == last


def test_what_is_written_is_read_to_the_millisecond():
    assert revocation.read(revocation.written(NOW + 0.25)) == NOW * 1000 + 250
    assert revocation.read(revocation.written(NOW)) == NOW * 1000
