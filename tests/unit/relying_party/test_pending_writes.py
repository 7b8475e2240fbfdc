"""PendingWrites: renewed sessions that exist in one process only."""

from dataclasses import replace

from harness.tokens import session

from extproc.core.session import SessionId
from extproc.relying_party.pending_writes import PendingWrites


def numbered(number: int):
    return session(id=SessionId.of(number.to_bytes(32, "big")))


def test_what_could_not_be_written_is_kept_with_the_owner_of_its_lock_until_it_is_dropped() -> None:
    writes, first = PendingWrites(most=10), numbered(1)
    newer = replace(first, refresh_token="rt2")
    assert writes.get(first.id.key) is None
    writes.put(first, b"owner")
    writes.put(newer, b"another owner")
    pending = writes.get(first.id.key)
    assert pending is not None and (pending.session, pending.owner) == (newer, b"another owner")
    writes.drop(first.id.key)
    writes.drop(first.id.key)
    assert writes.get(first.id.key) is None


def test_not_too_many_are_kept_and_the_oldest_is_lost() -> None:
    writes, sessions = PendingWrites(most=10), [numbered(number) for number in range(11)]
    for each in sessions:
        writes.put(each, b"owner")
    assert [number for number, each in enumerate(sessions) if writes.get(each.id.key) is None] == [
        0
    ]


def test_not_too_many_bytes_are_kept_and_the_newest_stays_however_large_it_is() -> None:
    large = [replace(numbered(number), id_token="x" * 100_000) for number in range(5)]
    writes = PendingWrites(most=10, most_bytes=350_000)
    for each in large:
        writes.put(each, b"owner")
        writes.put(each, b"owner")
    assert [writes.get(each.id.key) is not None for each in large] == [
        *(False, False),
        *(True, True, True),
    ]
    huge = replace(numbered(9), id_token="x" * 400_000)
    writes.put(huge, b"owner")
    assert writes.get(huge.id.key) is not None
    assert not any(writes.get(each.id.key) for each in large)
    writes.drop(huge.id.key)
    for each in large[:3]:
        writes.put(each, b"owner")
    assert all(writes.get(each.id.key) for each in large[:3])
