"""Late requests with the cookies from before a refresh: the renewed session, for ten minutes."""

from dataclasses import replace

from harness.memory_peers import MemoryStore
from harness.tokens import NOW, application, session

from extproc.core.session import SessionId
from extproc.sessions.rotation import (
    GRACE,
    MOST,
    MOST_BYTES,
    MemoryRotationGrace,
    SharedRotationGrace,
)

APP = application()
BEFORE = session()
RENEWED = session(access_token="renewed", generation=1)


def numbered(number: int, **changes):
    return session(id=SessionId.of(number.to_bytes(32, "big")), **changes)


async def test_a_renewed_session_is_known_by_the_cookies_of_before_for_ten_minutes():
    grace = MemoryRotationGrace()
    assert await grace.get(APP, BEFORE, NOW) is None
    await grace.put(APP, RENEWED, NOW)
    assert await grace.get(APP, BEFORE, NOW + GRACE - 1) == RENEWED
    assert await grace.get(APP, BEFORE, NOW + GRACE) is None


async def test_what_became_of_old_cookies_is_known_for_a_while_and_of_not_too_many():
    grace = MemoryRotationGrace()
    for number in range(MOST + 2):
        await grace.put(APP, numbered(number), NOW)
    newest, oldest = numbered(MOST + 1), numbered(1)
    assert await grace.get(APP, oldest, NOW) is None
    assert await grace.get(APP, newest, NOW + GRACE - 1) == newest
    assert await grace.get(APP, newest, NOW + GRACE) is None
    size, count = 250_000, MOST_BYTES // 250_000 + 10
    for number in range(count):
        await grace.put(APP, numbered(number, id_token="x" * size), NOW)
    assert await grace.get(APP, numbered(0), NOW) is None
    kept = [number for number in range(count) if await grace.get(APP, numbered(number), NOW)]
    assert MOST_BYTES * 0.99 < len(kept) * size <= MOST_BYTES
    assert kept == list(range(count - len(kept), count)), "the oldest are forgotten first"


async def test_a_session_that_is_renewed_again_and_again_takes_the_room_of_one():
    grace = MemoryRotationGrace()
    await grace.put(APP, numbered(1), NOW)
    for _ in range(2 * MOST_BYTES // 250_000):
        await grace.put(APP, session(id_token="x" * 250_000), NOW)
    assert await grace.get(APP, numbered(1), NOW) == numbered(1)


async def test_in_one_process_every_caller_gets_the_lock():
    grace = MemoryRotationGrace()
    assert await grace.lock(b"key", b"one", 5, NOW) and await grace.lock(b"key", b"two", 5, NOW)


async def test_in_a_store_only_the_id_of_the_session_leads_to_it():
    store = MemoryStore()
    grace = SharedRotationGrace(store)
    await grace.put(APP, RENEWED, NOW)
    (record,) = store.records.values()
    assert (record.index, record.tags, record.expires) == (b"", (), NOW + GRACE)
    assert b"renewed" not in record.sealed
    assert await SharedRotationGrace(store).get(APP, BEFORE, NOW) == RENEWED
    assert await grace.get(APP, replace(BEFORE, id=SessionId.of(b"o" * 32)), NOW) is None


async def test_in_a_store_nothing_outlives_its_session():
    store = MemoryStore()
    await SharedRotationGrace(store).put(APP, replace(RENEWED, expires=NOW + 5), NOW)
    assert [record.expires for record in store.records.values()] == [NOW + 5]


async def test_in_a_store_one_owner_among_all_processes_has_the_lock():
    store = MemoryStore()
    one, two = SharedRotationGrace(store), SharedRotationGrace(store)
    assert await one.lock(b"key", b"one", 5, NOW) and not await two.lock(b"key", b"two", 5, NOW)
    await one.unlock(b"key", b"one")
    assert await two.lock(b"key", b"two", 5, NOW)
