"""The write of a renewed session: what a lost lock, an outage and another process come to."""

from dataclasses import replace

import pytest
from harness.memory_peers import MemoryStore
from harness.tokens import NOW, application, request, session

from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.relying_party.renewed_write import RenewedWrite
from extproc.sessions.stored import StoredSessions

APP = application()
SESSION = session(refresh_token="rt0")
NEW = replace(SESSION, refresh_token="rt1", generation=1, access_issued=NOW)
OWNER = b"me"


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await StoredSessions(store).create(APP, request(), SESSION, Device(), None)
    return store


@pytest.fixture
def write(store) -> RenewedWrite:
    return RenewedWrite(APP, request(), StoredSessions(store), OWNER, 4.0, lambda: NOW)


async def kept(store: MemoryStore):
    return await StoredSessions(store).load_again(APP, SESSION, NOW)


async def test_it_is_written_under_the_lock_and_under_one_that_was_lost(write, store) -> None:
    for locked in (True, False):
        store.locks.clear()
        if locked:
            await store.lock(SESSION.id.key, OWNER, 5, NOW)
        assert await write.make(NEW, SESSION) == NEW == await kept(store)


async def test_a_session_that_is_gone_stays_so(write, store) -> None:
    store.records.clear()
    assert await write.make(NEW, SESSION) is None and store.records == {}


async def test_what_is_newer_stays_and_is_the_session_from_then_on(write, store) -> None:
    theirs = replace(NEW, refresh_token="theirs", access_issued=NOW + 1)
    await store.lock(SESSION.id.key, b"other", 5, NOW)
    await StoredSessions(store).replace(APP, request(), theirs, b"other", NOW)
    await store.unlock(SESSION.id.key, b"other")
    assert await write.make(NEW, SESSION) == theirs == await kept(store)


async def test_another_owner_of_the_lock_is_waited_for_but_not_for_ever(
    write, store, autojump_clock
) -> None:
    await store.lock(SESSION.id.key, b"other", 60, NOW)
    with pytest.raises(StoreUnavailable, match="in time"):
        await write.make(NEW, SESSION)
    assert (await kept(store)).refresh_token == "rt0"
