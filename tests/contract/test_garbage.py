"""Garbage in a store, which no version of this program wrote: nobody has such a session, what
cannot be known is a refusal, and no other's session is touched by it.
"""

import json
import logging
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
import trio
from harness.redis import PATIENT, RedisServer, Servers
from harness.tokens import NOW as THEN
from harness.tokens import application, request
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.errors import StoreUnavailable
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId, session_label
from extproc.core.session_cookie import read_session
from extproc.core.session_index import sid_tags, subject_tags
from extproc.core.session_record import FORMAT, Record, from_record
from extproc.sessions.factory import open_store
from extproc.sessions.redis.keeper import Keeper
from extproc.sessions.store import SessionStore
from extproc.settings import RedisSettings

NOW = 2_000_000_000
ALICE, BAD, GOOD, GRAVE = (
    b"alice".ljust(32),
    b"bad".ljust(32),
    b"good".ljust(32),
    b"grave".ljust(32),
)


def record(key: bytes) -> Record:
    return Record(key, b"sealed", NOW + 1000, NOW, b"entry", (ALICE,))


async def others_go_on(store: SessionStore) -> None:
    """A user whose session is beside the garbage, by every way to it."""
    assert await store.get(GOOD, NOW) == record(GOOD)
    assert replace(record(GOOD), sealed=b"") in await store.tagged(ALICE, NOW)
    found, after = [], None
    while True:
        page = await store.page(after, 2, NOW)
        found += page.records
        if (after := page.after) is None:
            break
    assert set(found) == {record(GOOD)}
    await store.touch(GOOD, NOW)
    assert await store.lock(GOOD, b"me", 30, NOW)
    assert await store.replace(record(GOOD), b"me", NOW)
    await store.unlock(GOOD, b"me")
    assert await store.revoked_before([GOOD], NOW) == 0
    await store.count(NOW)


async def nobody_has(store: SessionStore, key: bytes) -> None:
    assert await store.get(key, NOW) is None
    await store.touch(key, NOW)
    assert await store.lock(key, b"me", 30, NOW)
    await store.replace(record(key), b"me", NOW)
    await store.unlock(key, b"me")


# -- Redis

PREFIX = "garbage:"
FIELDS = {
    "sealed": "sealed",
    "touched": str(NOW),
    "expires": str(NOW + 1000),
    "index": "entry",
    "tags": ALICE.hex(),
    "write": "12345678",
}
WRONG = {
    "touched": ["", "x", "1e9", "-1", "9" * 400, "\u0661"],
    "expires": ["", "x", "nan", "inf", "-1", "9" * 5000],
    "tags": ["zz", ALICE.hex() + " zz", "0", "\u00e9"],
    "sealed": [None],
    "index": [None],
}


def name(kind: str, key: bytes) -> str:
    return f"{PREFIX}{kind}:{{{key.hex()}}}"


@asynccontextmanager
async def redis(server: RedisServer) -> AsyncIterator[SessionStore]:
    server.command("FLUSHALL")
    said = {
        "kind": "redis",
        "deadline": PATIENT,
        "connect": PATIENT,
        "key_prefix": PREFIX,
        "servers": [server.address],
    }
    store = open_store(RedisSettings.model_validate_json(json.dumps(said)))
    try:
        await store.put(record(GOOD))
        yield store
    finally:
        await store.aclose()


def write(server: RedisServer, fields: dict[str, str | None]) -> None:
    server.command("DEL", name("session", BAD))
    server.command(
        "HSET",
        name("session", BAD),
        *(word for pair in fields.items() if pair[1] is not None for word in pair),
    )
    server.command("ZADD", name("tag", ALICE), NOW + 1000, BAD + b"12345678")


@pytest.mark.attack("REL-43")
@pytest.mark.threat("foreign-input")
@pytest.mark.parametrize("field", WRONG)
async def test_a_session_with_garbage_in_a_field_is_none(
    field: str, redis_servers: Servers, caplog
) -> None:
    async with redis(redis_servers.redis) as store:
        for value in WRONG[field]:
            write(redis_servers.redis, {**FIELDS, field: value})
            await others_go_on(store)
            write(redis_servers.redis, {**FIELDS, field: value})
            await nobody_has(store, BAD)
            write(redis_servers.redis, {**FIELDS, field: value})
            await store.delete(BAD)
            write(redis_servers.redis, {**FIELDS, field: value})
            await store.end(ALICE, NOW)
            assert await store.get(GOOD, NOW) is None, (
                "the end of a user's sessions goes on beyond the garbage"
            )
            write(redis_servers.redis, {**FIELDS, field: value})
            await store.put(record(BAD))
            assert await store.get(BAD, NOW) == record(BAD), "it is written over"
            await store.put(record(GOOD))
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]


KINDS = {
    "a text": ("SET", "x"),
    "a list": ("RPUSH", "x"),
    "a set": ("SADD", "x"),
    "other scores": ("ZADD", 1, "x"),
}


@pytest.mark.attack("REL-43")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_of_another_type_is_no_session_and_no_lock_of_others(
    kind: str, redis_servers: Servers, caplog
) -> None:
    server = redis_servers.redis

    def plant(what: str, key: bytes) -> None:
        command, *words = KINDS[kind]
        server.command("DEL", name(what, key))
        server.command(command, name(what, key), *words)

    async with redis(server) as store:
        for odd in ("session:x", "session:{zz}", "session:{}", "session:{1}", "session:{é}"):
            server.command("SET", PREFIX + odd, "x")
        plant("session", BAD)
        await others_go_on(store)
        await nobody_has(store, BAD)
        await store.put(record(BAD))
        assert await store.get(BAD, NOW) == record(BAD)
        await store.delete(BAD)
        server.command("ZADD", name("tag", ALICE), NOW + 1000, BAD + b"12345678")
        plant("session", BAD)
        await store.end(ALICE, NOW)
        assert await store.get(GOOD, NOW) is None
        # a tombstone that says nothing: nobody knows whether it is over, until it is written anew
        plant("buried", GRAVE)
        if kind == "a text":
            with pytest.raises(StoreUnavailable):
                await store.revoked_before([GOOD, GRAVE], NOW)
        await store.revoke_before(GRAVE, NOW, NOW + 1000)
        assert await store.revoked_before([GOOD, GRAVE], NOW) == NOW
        # whose tags are garbage can sign in again, and be found
        plant("tag", ALICE)
        await store.put(record(GOOD))
        assert await store.tagged(ALICE, NOW) == (replace(record(GOOD), sealed=b""),)
        for what, used in (
            ("lock", store.lock(BAD, b"me", 5, NOW)),
            ("claim", store.use_once(BAD, NOW + 5, NOW)),
        ):
            plant(what, BAD)
            with suppress(StoreUnavailable):
                assert not await used, "what may be somebody's is not given"
    assert not [line for line in caplog.records if line.levelno >= logging.ERROR]


# -- what opens, and is no session

APP = application()
ID = SessionId.of(b"s" * 32)
RIGHT = [FORMAT, "https://idp.example", "alice", {"sub": "alice"}, "idt", "at", "rt", THEN, THEN, THEN + 9, "sid", THEN, "acr", THEN, ["pwd"], 0, "A" * 43, THEN * 1000]  # fmt: skip
# by which a logout finds it: the login, the user, the session at the provider
TAGS = (
    bytes(32),
    *subject_tags(APP.ring, "https://idp.example", "alice"),
    *sid_tags(APP.ring, "https://idp.example", "sid"),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=20) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=20,
)


def opened(data: bytes) -> list[Session | None]:
    """As a record, and as cookies."""
    sealed = APP.ring.seal(data, session_label(APP, ID, "session"), bytes(ENTROPY)).encode()
    label = session_label(APP, ID, "session data")
    cookie = APP.ring.seal(THEN.to_bytes(8, "big") + zlib.compress(data), label, bytes(ENTROPY))
    asked = request(
        cookie=f"{APP.cookies.session}={ID.cookie}; {APP.cookies.data(ID.handle)}0.0=1.{cookie}"
    )
    return [
        from_record(APP, ID, Record(ID.key, sealed, THEN + 9, THEN, tags=TAGS)),
        read_session(APP, asked),
    ]


def test_what_is_whole_opens() -> None:
    assert all(isinstance(found, Session) for found in opened(json.dumps(RIGHT).encode()))


@pytest.mark.attack("REL-43")
@pytest.mark.threat("foreign-input")
@given(st.one_of(st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode())))
def test_what_opens_and_holds_nonsense_is_no_session(data: bytes) -> None:
    assert opened(data) == [None, None]


@pytest.mark.attack("REL-43")
@given(st.integers(0, len(RIGHT) - 1), JSON)
def test_a_session_with_one_value_of_another_kind_is_none_or_can_be_used(
    at: int, value: object
) -> None:
    data = json.dumps([*RIGHT[:at], value, *RIGHT[at + 1 :]]).encode()
    for found in opened(data):
        if found is not None:
            found.fresh(APP, THEN)
            found.sufficient(APP, THEN)
            found.not_after(APP, THEN)
            found.lasts(APP, THEN)
            found.keys(APP.ring)
            APP.identity_headers(found.claims)
            assert repr(found)


# -- what looks after the connections


@pytest.mark.attack("REL-42")
@pytest.mark.parametrize("where", ["_look", "_report"])
async def test_the_keeper_of_redis_goes_on_after_a_bug(
    where: str, redis_servers: Servers, monkeypatch
) -> None:
    right, wrong, met = getattr(Keeper, where), False, []

    def once_wrong(*args: object) -> object:
        nonlocal wrong
        met.append(wrong)
        if wrong:
            wrong = False
            raise ExceptionGroup("x", [KeyError("x")])
        return right(*args)

    monkeypatch.setattr("extproc.background.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("extproc.sessions.redis.keeper.LOOK_EVERY", 0.01)
    monkeypatch.setattr(Keeper, where, once_wrong)
    async with redis(redis_servers.redis) as store:
        wrong = True
        with trio.fail_after(30):
            while True not in met or met[-1] or store.missing is not None:
                await trio.sleep(0.01)
        assert await store.get(GOOD, NOW) == record(GOOD)


@pytest.mark.attack("REL-42")
async def test_a_connection_that_cannot_be_made_keeps_nobody_waiting(
    redis_servers: Servers, monkeypatch
) -> None:
    def fails(*_: object, **__: object) -> object:
        raise ValueError("x")

    monkeypatch.setattr("extproc.sessions.redis.connection.TCPConnection", fails)
    with trio.fail_after(30), pytest.raises(StoreUnavailable):
        async with redis(redis_servers.redis):
            pass
