"""What every store does, whichever its kind. Times are real: a store may trust a clock of its
own.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import trio

from extproc.core.session_record import Record
from extproc.sessions.store import Replaced, SessionStore, WouldBlock

# Redis goes by a clock of its own, and a whole run takes longer than some of what is stored: an
# hour ahead
NOW = int(time.time()) + 3600
ALICE, BOB, LAPTOP = b"alice".ljust(32), b"bob".ljust(32), b"laptop".ljust(32)


def record(
    key=b"1", sealed=b"sealed", expires=NOW + 1000, touched=NOW, index=b"entry", tags=(ALICE,)
):
    return Record(key.ljust(32), sealed, expires, touched, index, tags)


async def look(store: SessionStore, key: bytes, now: int = NOW) -> Record | None:
    """What both ways of reading say; a remote store is always busy for the one that does not
    wait.
    """
    got = await store.get(key, now)
    with contextlib.suppress(WouldBlock):
        assert store.get_nowait(key, now) == got
    return got


async def keys(store: SessionStore, limit: int, now: int = NOW) -> list[bytes]:
    found, after = [], None
    while True:
        page = await store.page(after, limit, now)
        found += [one.key for one in page.records]
        if page.after is None:
            return found
        after = page.after


async def test_a_record_is_put_read_and_deleted_by_any_process(store, other):
    assert await look(store, record().key) is None
    await store.put(record())
    assert await look(store, record().key) == record() == await look(other, record().key)
    await other.delete(record().key)
    await other.delete(record().key)
    assert await look(store, record().key) is None


@pytest.mark.parametrize(
    "given",
    [
        record(index=b"", tags=()),
        record(tags=(ALICE, LAPTOP)),
        record(sealed=bytes(range(256)) * 1000, index=bytes(range(256)), tags=(bytes(range(32)),)),
    ],
    ids=["of a version without an index", "two tags", "any bytes"],
)
async def test_a_record_comes_back_as_it_was(store, given):
    await store.put(given)
    assert await look(store, given.key) == given


async def test_last_use_moves_forward_only_and_brings_nothing_back(store):
    await store.put(record())
    await store.touch(record().key, NOW + 60)
    await store.touch(record().key, NOW + 30)
    assert await look(store, record().key) == record(touched=NOW + 60)
    await store.delete(record().key)
    await store.touch(record().key, NOW + 90)
    assert await look(store, record().key) is None


@pytest.mark.attack("COOK-17")
async def test_a_record_past_its_end_is_none_in_every_way(store):
    await store.put(record())
    await store.put(record(b"2", expires=NOW - 1))
    assert await look(store, record(b"2").key) is None
    assert await look(store, record().key, NOW + 1000) is None
    assert await store.tagged(ALICE, NOW + 1000) == () and await keys(store, 10, NOW + 1000) == []
    assert await store.end(ALICE, NOW + 1000) == 0
    assert await store.lock(record().key, b"me", 5, NOW)
    assert not await store.replace(record(b"2", sealed=b"new"), b"me", NOW)


async def test_a_new_record_takes_the_old_one_s_place(store):
    await store.put(record(b"old", tags=(ALICE, LAPTOP)))
    await store.put(record(b"new"), replaces=record(b"old").key)
    assert await look(store, record(b"old").key) is None and await look(
        store, record(b"new").key
    ) == record(b"new")
    assert [one.key for one in await store.tagged(ALICE, NOW)] == [record(b"new").key]
    assert await store.tagged(LAPTOP, NOW) == ()


# -- found and ended without cookies ---------------------------------------------------------------


async def test_sessions_are_found_by_tag_newest_use_first(store, other):
    await store.put(record(b"1", touched=NOW - 50, tags=(ALICE, LAPTOP)))
    await store.put(record(b"2", touched=NOW - 10))
    await store.put(record(b"3", tags=(BOB,)))
    # Without the inner layer, which a list does not need.
    two = record(b"2", sealed=b"", touched=NOW - 10)
    one = record(b"1", sealed=b"", touched=NOW - 50, tags=(ALICE, LAPTOP))
    assert await other.tagged(ALICE, NOW) == (two, one)
    assert await other.tagged(ALICE, NOW, 1) in ((two,), (one,))
    assert [one.key for one in await other.tagged(LAPTOP, NOW)] == [record(b"1").key]
    assert await other.tagged(b"nobody".ljust(32), NOW) == ()


async def test_all_sessions_of_a_tag_end_and_no_others(store, other):
    for number in range(5):
        await store.put(record(b"a%d" % number))
    await store.put(record(b"b", tags=(BOB,)))
    assert await other.end(ALICE, NOW) == 5 and await other.end(ALICE, NOW) == 0
    assert (
        await look(store, record(b"a0").key) is None
        and await look(store, record(b"b").key) is not None
    )
    assert await store.tagged(ALICE, NOW) == ()


async def test_the_sessions_of_a_tag_end_but_those_that_are_spared(store, other):
    made = [record(b"a%d" % number, tags=(ALICE, LAPTOP)) for number in range(5)]
    for each in made:
        await store.put(each)
    assert await store.lock(made[0].key, b"me", 30, NOW)
    assert await store.replace(replace(made[0], sealed=b"new"), b"me", NOW)
    spared = [each.key for each in made[:2]]
    assert await other.end(ALICE, NOW, spared) == 3
    assert sorted(each.key for each in await store.tagged(LAPTOP, NOW)) == sorted(spared)


async def test_a_list_has_as_many_sessions_as_fit_however_many_there_are(store):
    for number in range(120):
        await store.put(record(b"%d" % number, expires=NOW + 1000 + number))
    found = await store.tagged(ALICE, NOW, 20)
    assert len({each.key for each in found}) == 20
    assert len(await store.tagged(ALICE, NOW)) == 120


async def test_all_records_with_a_tag_come_page_by_page(store, other):
    ours = {name: record(name, tags=(ALICE,)) for name in (b"1", b"2", b"3", b"4", b"5")}
    for one in (*ours.values(), record(b"b", tags=(BOB,))):
        await store.put(one)
    after, pages = None, []
    while True:
        step = await other.tagged_page(ALICE, after, 2, NOW)
        pages.append([one.key for one in step.records])
        assert all(one.sealed == b"" and ALICE in one.tags for one in step.records)
        # What goes meanwhile makes no other record be left out.
        for key in pages[-1]:
            await store.delete(key)
        after = step.after
        if after is None:
            break
    found = [key for page in pages for key in page]
    assert sorted(found) == sorted(one.key for one in ours.values())
    assert max(map(len, pages)) == 2


async def test_pages_have_every_session_whatever_their_size(store):
    await store.put(record(b"gone", expires=NOW - 1))
    for number in range(23):
        await store.put(record(b"%d" % number))
    expected = {record(b"%d" % number).key for number in range(23)}
    assert await keys(store, 5) and set(await keys(store, 5)) == expected == set(
        await keys(store, 23)
    )
    assert set(await keys(store, 1000)) == expected


async def test_an_empty_store_has_an_empty_page(store):
    assert await keys(store, 10) == []


# -- one holder at a time --------------------------------------------------------------------------


async def test_a_lock_has_one_holder_among_all_processes(store, other):
    won = []

    async def take(by: SessionStore, owner: bytes) -> None:
        won.append(await by.lock(b"session", owner, 30, NOW))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(take, store if number % 2 else other, b"holder %d" % number)
    assert sorted(won) == [False] * 19 + [True]


async def test_its_holder_renews_a_lock_and_gives_it_back(store, other):
    assert await store.lock(b"session", b"me", 30, NOW) and await store.lock(
        b"session", b"me", 30, NOW
    )
    await other.unlock(b"session", b"you")  # not yours
    assert not await other.lock(b"session", b"you", 30, NOW)
    assert await other.lock(b"another", b"you", 30, NOW)
    await store.unlock(b"session", b"me")
    await store.unlock(b"session", b"me")
    assert await other.lock(b"session", b"you", 30, NOW)


async def test_a_lock_whose_holder_died_is_taken_over_and_its_holder_writes_nothing_more(
    store, other
):
    await store.put(record())
    assert await store.lock(record().key, b"dead", 1, int(time.time()))
    with trio.fail_after(60):
        while not await other.lock(record().key, b"heir", 30, int(time.time())):
            await trio.sleep(0.05)
    assert not await store.replace(record(sealed=b"late"), b"dead", int(time.time()))
    assert await other.replace(record(sealed=b"new"), b"heir", int(time.time()))
    assert (await look(store, record().key)).sealed == b"new"


async def test_the_holder_changes_a_session_its_tags_too_and_its_last_use_stays(store, other):
    await store.put(record(tags=(ALICE, LAPTOP)))
    assert await store.lock(record().key, b"me", 30, NOW)
    await other.touch(record().key, NOW + 60)
    changed = record(sealed=b"new", expires=NOW + 2000, index=b"entry 2", tags=(ALICE, BOB))
    assert await store.replace(changed, b"me", NOW)
    assert await look(other, record().key) == replace(changed, touched=NOW + 60)
    assert await other.tagged(LAPTOP, NOW) == () and len(await other.tagged(BOB, NOW)) == 1
    assert not await other.lock(record().key, b"you", 30, NOW)  # still held


async def test_a_session_that_is_gone_is_not_taken_for_a_lock_that_is_lost(store, other):
    """Only the first is a logout."""
    await store.put(record())
    assert await store.replace(record(), b"me", NOW) is Replaced.NOT_MINE
    assert await store.lock(record().key, b"me", 30, NOW)
    assert await other.replace(record(), b"you", NOW) is Replaced.NOT_MINE
    assert await store.replace(record(sealed=b"new"), b"me", NOW) is Replaced.WRITTEN
    await other.delete(record().key)
    assert await store.replace(record(), b"me", NOW) is Replaced.GONE
    await store.unlock(record().key, b"me")
    assert await store.replace(record(), b"me", NOW) is Replaced.GONE


@pytest.mark.parametrize(
    "happens",
    [
        lambda store: store.delete(record().key),
        lambda store: store.end(ALICE, NOW),
        lambda store: store.put(record(b"next"), replaces=record().key),
        lambda store: store.unlock(record().key, b"me"),
    ],
    ids=["logout", "ended by tag", "a new login", "the lock given back"],
)
async def test_what_ended_during_a_refresh_is_never_brought_back(store, other, happens: Callable):
    await store.put(record())
    assert await store.lock(record().key, b"me", 30, NOW)
    await happens(other)
    before = await look(store, record().key)
    assert not await store.replace(record(sealed=b"refreshed"), b"me", NOW)
    assert await look(store, record().key) == before


# -- what happens once, what is over ---------------------------------------------------------------


async def test_an_attempt_is_claimed_by_exactly_one_of_many(store, other):
    won = []

    async def use_once(by: SessionStore) -> None:
        won.append(await by.use_once(b"attempt", NOW + 1000, NOW))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(use_once, store)
            nursery.start_soon(use_once, other)
    assert sorted(won) == [False] * 19 + [True]


async def revoked_before(store: SessionStore, *what: bytes, now: int = NOW) -> int:
    at = await store.revoked_before(what, now)
    with contextlib.suppress(WouldBlock):
        assert store.revoked_before_nowait(what, now) == at
    return at


async def test_a_tombstone_says_when_and_never_moves_back(store, other):
    assert await revoked_before(store, b"session") == 0
    await store.revoke_before(b"session", NOW, NOW + 1000)
    await store.revoke_before(b"session", NOW - 50, NOW + 500)
    await other.revoke_before(b"user", NOW - 10, NOW + 1000)
    assert (
        await revoked_before(other, b"session") == NOW
        and await revoked_before(store, b"user") == NOW - 10
    )
    assert await revoked_before(store, b"user", b"session", b"neither") == NOW
    assert await revoked_before(store, b"neither") == 0
    assert (
        await revoked_before(store, b"session", now=NOW + 600) == NOW
        and await revoked_before(store, b"session", now=NOW + 1000) == 0
    )
