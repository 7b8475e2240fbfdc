"""Locks, single-use markers and revocations as rows."""

import sqlite3

import pytest
from harness.tokens import NOW

from extproc.sessions.sqlite import markers
from extproc.sessions.sqlite.markers import (
    LATE,
    LONGEST_LOCK,
    SLICE_ROWS,
    SWEEP_EVERY,
    SWEEP_ROWS,
    Sweeper,
)


def rows(db, table: str) -> int:
    return int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_lock_has_one_owner_who_may_renew_it(db):
    assert markers.lock(db, b"key", b"me", 30, 100) and markers.lock(db, b"key", b"me", 30, 120)
    assert not markers.lock(db, b"key", b"you", 30, 149)
    assert markers.lock(db, b"key", b"you", 30, 150)
    markers.unlock(db, b"key", b"me")
    assert not markers.lock(db, b"key", b"me", 30, 150)
    markers.unlock(db, b"key", b"you")
    assert markers.lock(db, b"key", b"me", 30, 150)


def test_a_lock_from_before_the_machine_started_is_none(db):
    assert markers.lock(db, b"key", b"me", 30, 5000)
    assert not markers.lock(db, b"key", b"you", 30, 5030 - LONGEST_LOCK)
    assert markers.lock(db, b"key", b"you", 30, 5029 - LONGEST_LOCK)


def test_a_marker_is_written_once_until_it_expires(db):
    assert markers.use_once(db, b"attempt", NOW + 60, NOW)
    assert not markers.use_once(db, b"attempt", NOW + 90, NOW + 59)
    assert markers.use_once(db, b"attempt", NOW + 90, NOW + 60)


def test_the_latest_of_all_revocations_counts(db):
    markers.revoke_before(db, b"user", NOW, NOW + 60)
    markers.revoke_before(db, b"user", NOW - 10, NOW + 90)
    assert markers.revoked_before(db, [b"other", b"user"], NOW + 89) == NOW
    assert markers.revoked_before(db, [b"user"], NOW + 90) == 0
    assert markers.revoked_before(db, [], NOW) == 0


def test_a_revocation_that_is_no_number_is_an_error(db):
    markers.revoke_before(db, b"user", NOW, NOW + 60)
    db.execute("UPDATE grave SET at = 'x'")
    with pytest.raises(sqlite3.DataError):
        markers.revoked_before(db, [b"user"], NOW)


def test_a_sweep_keeps_markers_and_revocations_two_hours_longer(db):
    markers.use_once(db, b"attempt", NOW, NOW - 60)
    markers.revoke_before(db, b"user", NOW - 60, NOW)
    markers.lock(db, b"key", b"me", 5, 100)
    Sweeper().sweep(db, NOW + LATE - 1, 105)
    assert (rows(db, "attempt"), rows(db, "grave"), rows(db, "lock")) == (1, 1, 0)
    Sweeper().sweep(db, NOW + LATE, 105)
    assert (rows(db, "attempt"), rows(db, "grave")) == (0, 0)


def test_a_sweep_deletes_some_rows_at_a_time_and_comes_at_most_once_a_minute(db):
    more = 2 * SWEEP_ROWS + SLICE_ROWS + 1
    db.executemany("INSERT INTO attempt VALUES (?, ?)", [(b"%d" % n, NOW) for n in range(more)])
    sweeper, now = Sweeper(), NOW + LATE
    sweeper.sweep(db, now, 0)
    assert rows(db, "attempt") == more - SWEEP_ROWS
    sweeper.sweep(db, now + SWEEP_EVERY - 1, 0)
    assert rows(db, "attempt") == more - SWEEP_ROWS - SLICE_ROWS, "it goes on in smaller slices"
    sweeper.sweep(db, now + SWEEP_EVERY, 0)
    assert rows(db, "attempt") == 1
    sweeper.sweep(db, now, 0)
    assert rows(db, "attempt") == 0, "a clock that was set back does not stop the sweeps"


def test_a_sweep_goes_on_until_nothing_is_past_its_end(db):
    more = SWEEP_ROWS + 3 * SLICE_ROWS
    db.executemany("INSERT INTO attempt VALUES (?, ?)", [(b"%d" % n, NOW) for n in range(more)])
    db.executemany("INSERT INTO grave VALUES (?, 1, ?)", [(b"%d" % n, NOW) for n in range(more)])
    sweeper, now = Sweeper(), NOW + LATE
    for _ in range(4):
        sweeper.sweep(db, now, 0)
    assert (rows(db, "attempt"), rows(db, "grave")) == (0, 0)
    # It is known only now that nothing is left: then the next sweep waits for its time.
    sweeper.sweep(db, now, 0)
    markers.use_once(db, b"late", NOW, NOW - 60)
    sweeper.sweep(db, now + 1, 0)
    assert rows(db, "attempt") == 1
