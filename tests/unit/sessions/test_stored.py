"""Sessions in a store: what is written, read, sealed again and deleted, and when."""

from collections.abc import Collection
from dataclasses import replace

import pytest
import trio
from harness.memory_peers import MemoryStore
from harness.tokens import ISSUER, NOW, RING, application, request, session

from extproc.core.device import Device
from extproc.core.errors import SignedOutMeanwhile, StoreUnavailable
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId
from extproc.core.session_index import IndexEntry, open_entry, seal_entry, subject_tags
from extproc.core.session_record import to_record
from extproc.core.session_selection import of_user_and_sid
from extproc.sessions.interfaces import LOGIN_COMPLETES_WITHIN
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.store import LISTED, WouldBlock
from extproc.sessions.stored import StoredSessions

APP = application()
DEVICE = Device("Firefox on Linux", "192.0.2.7")
SESSION = session()
KEY = SESSION.id.key
BEFORE, BETWEEN = (
    application(ring=KeyRing.of([letter * 40 for letter in ring]))
    for ring in ((b"a",), (b"b", b"a"))
)


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def sessions(store):
    return StoredSessions(store)


async def begin(sessions: StoredSessions, one: Session = SESSION, app=APP, replaces=None) -> str:
    """Create a session; the Cookie header of its browser."""
    cookie, *_ = await sessions.create(app, request(), one, DEVICE, replaces)
    return f"{cookie.name}={cookie.value}"


async def test_a_browser_holds_an_id_and_the_store_nothing_that_opens_without_it(sessions, store):
    cookie = await begin(sessions)
    (record,) = store.records.values()
    assert record.key == KEY and SESSION.id.cookie in cookie
    assert b"alice" not in record.sealed + record.index
    assert await sessions.find(APP, request(cookie=cookie), NOW) == SESSION
    assert sessions.find_nowait(APP, request(cookie=cookie), NOW) == SESSION
    assert await sessions.find(APP, request(), NOW) is None


async def test_a_remote_store_answers_nothing_on_the_event_loop(sessions, store):
    cookie = await begin(sessions)
    store.remote = True
    with pytest.raises(WouldBlock):
        sessions.find_nowait(APP, request(cookie=cookie), NOW)
    assert sessions.find_nowait(APP, request(), NOW) is None, "without a cookie nothing is asked"


async def test_a_record_that_was_written_for_nothing_is_deleted(sessions, store):
    def away(operation: str, when: str) -> None:
        if (operation, when) == ("put", "after"):
            raise StoreUnavailable("the answer was lost")

    store.met = away
    with pytest.raises(StoreUnavailable):
        await begin(sessions)
    assert store.records == {}


async def test_a_user_who_was_signed_out_during_the_login_has_no_session_and_keeps_no_record(
    sessions, store
):
    await sessions.end_tagged(subject_tags(RING, ISSUER, "alice"), NOW, NOW + 43_200)
    with pytest.raises(SignedOutMeanwhile):
        await begin(sessions)
    assert store.records == {}


async def test_a_revocation_is_kept_no_longer_than_a_login_in_progress_needs_it(tmp_path):
    store = SQLiteStore(tmp_path / "sessions.sqlite3")
    sessions = StoredSessions(store)
    tags = subject_tags(RING, ISSUER, "alice")
    await sessions.end_tagged(tags, NOW, NOW + 43_200)
    assert await store.revoked_before(tags, NOW + LOGIN_COMPLETES_WITHIN - 1) == NOW * 1000
    assert await store.revoked_before(tags, NOW + LOGIN_COMPLETES_WITHIN) == 0
    await sessions.aclose()


async def test_a_session_that_an_older_key_sealed_is_sealed_again_when_it_is_used(sessions, store):
    cookie = await begin(sessions, app=BEFORE)
    found = await sessions.find(BETWEEN, request(cookie=cookie), NOW)
    assert found is not None and found.outdated
    await sessions.touch(BETWEEN, found, NOW + 1)
    again = await sessions.find(BETWEEN, request(cookie=cookie), NOW + 1)
    assert again is not None and not again.outdated
    assert store.locks == {}, "its lock is given up"
    record = store.records[KEY]
    entry = open_entry(BETWEEN.ring, record.key, record.index)
    assert entry is not None and entry.device == DEVICE


async def test_a_session_that_is_sealed_anew_while_its_user_s_sessions_are_ended_is_ended(tmp_path):
    class Interrupted(SQLiteStore):
        """After its first search for a tag, the session is used."""

        searched = 0

        async def end(self, tag: bytes, now: int, spare: Collection[bytes] = ()) -> int:
            ended = await super().end(tag, now, spare)
            self.searched += 1
            if self.searched == 1:
                known = await other.find(BETWEEN, request(cookie=cookie), NOW)
                if known is not None:
                    await other.touch(BETWEEN, known, NOW + 1)
            return ended

    path = tmp_path / "sessions.sqlite3"
    sessions, other = StoredSessions(Interrupted(path)), StoredSessions(SQLiteStore(path))
    cookie = await begin(other, app=BEFORE)
    assert await sessions.end_stored(subject_tags(BETWEEN.ring, ISSUER, "alice"), NOW) == 1
    assert await other.find(BETWEEN, request(cookie=cookie), NOW) is None
    for each in (sessions, other):
        await each.aclose()


async def test_what_is_replaced_without_its_lock_or_after_its_end_stays_as_it_is(sessions, store):
    cookie = await begin(sessions)
    renewed = session(access_token="renewed")
    assert not await sessions.replace(APP, request(), renewed, b"me", NOW)
    assert await sessions.lock(SESSION, b"me", 5, NOW)
    assert await sessions.replace(APP, request(), renewed, b"me", NOW)
    assert await sessions.find(APP, request(cookie=cookie), NOW) == renewed
    await sessions.end(SESSION, NOW)
    assert not await sessions.replace(APP, request(), renewed, b"me", NOW)
    assert await sessions.load_again(APP, SESSION, NOW) is None and store.records == {}


async def test_a_session_with_the_tags_of_two_keys_is_listed_once(sessions):
    await begin(sessions)
    tags = subject_tags(RING, ISSUER, "alice")
    found = await sessions.tagged((*tags, *tags), NOW)
    assert found is not None and [record.key for record in found] == [KEY]
    await sessions.delete_many([KEY])
    assert await sessions.tagged(tags, NOW) == ()


async def test_an_operator_reads_records_by_key_and_by_page(sessions, store):
    await begin(sessions)
    assert await sessions.record(KEY, NOW) == store.records[KEY]
    assert await sessions.record(SessionId.of(b"o" * 32).key, NOW) is None
    page = await sessions.page(None, 10, NOW)
    assert [record.key for record in page.records] == [KEY] and await sessions.count(NOW) == 1


@pytest.mark.threat("stolen-store")
async def test_a_session_without_the_tags_that_a_logout_finds_it_by_is_none(sessions, store):
    """Tags are not sealed: who can write to the store must not take a session out of reach."""
    own = session(attempt=b"a" * 32, sid="at the provider")
    cookie = await begin(sessions, own)
    kept = store.records[KEY]
    assert len(kept.tags) == 3
    for missing in kept.tags:
        store.records[KEY] = replace(kept, tags=tuple(set(kept.tags) - {missing}))
        assert await sessions.find(APP, request(cookie=cookie), NOW) is None
        assert sessions.find_nowait(APP, request(cookie=cookie), NOW) is None
        assert await sessions.load_again(APP, own, NOW) is None
    store.records[KEY] = replace(kept, tags=(*kept.tags, b"another tag".ljust(32)))
    assert await sessions.find(APP, request(cookie=cookie), NOW) == own


async def test_a_session_of_a_release_without_tags_is_one(sessions, store):
    cookie = await begin(sessions)
    store.records[KEY] = replace(store.records[KEY], tags=(), index=b"")
    assert await sessions.find(APP, request(cookie=cookie), NOW) == SESSION


async def test_a_login_whose_user_leaves_while_it_is_written_leaves_no_record(sessions, store):
    with trio.CancelScope() as scope:

        def leaves(operation: str, when: str) -> None:
            if (operation, when) == ("put", "before"):
                scope.cancel()

        store.met = leaves
        await begin(sessions)
    assert scope.cancelled_caught and store.records == {}


async def test_whether_the_store_is_there_is_the_store_s_own(sessions, store):
    assert sessions.missing is None and sessions.shared
    store.missing = "cannot be connected to"
    assert sessions.missing == "cannot be connected to"


@pytest.mark.attack("LOGO-16")
async def test_a_selection_ends_however_many_others_share_its_tag(sessions, store) -> None:
    """More than a list has: of the others, none ends."""
    others = to_record(APP, session(subject="bob", sid="shared"), DEVICE, bytes(88))
    for number in range(LISTED + 1):
        key = number.to_bytes(32, "big")
        index = seal_entry(RING, key, BOB, bytes(44))
        store.records[key] = replace(others, key=key, index=index, touched=NOW + 1)
    await begin(sessions, session(sid="shared", attempt=b"a" * 32))
    selection = of_user_and_sid(RING, ISSUER, "alice", "shared")
    assert await sessions.end_selected(selection, NOW + 1, NOW + 43_200) == 1
    assert KEY not in store.records and len(store.records) == LISTED + 1


BOB = IndexEntry("app", ISSUER, "bob", "shared", NOW, DEVICE)
