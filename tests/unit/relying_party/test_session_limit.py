"""The limit of sessions per user: who is over it, and a store that fails meanwhile."""

import logging
from dataclasses import replace

import pytest
from harness.memory_peers import MemoryStore
from harness.tokens import NOW, application, request, session

from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.core.session import SessionId
from extproc.relying_party.session_limit import end_surplus
from extproc.sessions.stored import StoredSessions

LIMITED = application(sessions_per_user=2)
OTHER_APP = application(name="wiki", sessions_per_user=2)


def numbered(number: int, **changes):
    return session(id=SessionId.of(number.to_bytes(32, "big")), created=NOW + number, **changes)


@pytest.fixture
async def store() -> MemoryStore:
    """With three sessions of alice, one of bob, and one of alice at another application."""
    store = MemoryStore()
    sessions = StoredSessions(store)
    for number in range(3):
        await sessions.create(LIMITED, request(), numbered(number), Device(), None)
    await sessions.create(LIMITED, request(), numbered(3, subject="bob"), Device(), None)
    await sessions.create(OTHER_APP, request(), numbered(4), Device(), None)
    return store


def left(store: MemoryStore) -> list[int]:
    return [number for number in range(5) if numbered(number).id.key in store.records]


async def test_the_oldest_sessions_of_this_user_at_this_application_end(store, caplog) -> None:
    caplog.set_level(logging.INFO)
    await end_surplus(StoredSessions(store), LIMITED, numbered(2), NOW + 10)
    assert left(store) == [1, 2, 3, 4]
    (record,) = [record for record in caplog.records if record.getMessage() == "surplus_ended"]
    assert record.levelno == logging.INFO


async def test_without_a_limit_or_below_it_nothing_ends(store) -> None:
    for limit in (None, 3):
        app = replace(LIMITED, sessions_per_user=limit)
        await end_surplus(StoredSessions(store), app, numbered(2), NOW + 10)
    assert left(store) == [0, 1, 2, 3, 4]


async def test_a_store_that_fails_is_logged_and_not_raised(store, caplog) -> None:
    def away(operation: str, when: str) -> None:
        raise StoreUnavailable("away")

    store.met = away
    await end_surplus(StoredSessions(store), LIMITED, numbered(2), NOW + 10)
    assert [record.getMessage() for record in caplog.records] == ["surplus_not_ended"]
