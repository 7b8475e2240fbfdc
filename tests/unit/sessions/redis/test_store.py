"""The Redis store against replies that no server gives on demand; the rest is in tests/contract."""

from dataclasses import replace

import pytest
import trio
from harness.redis import PATIENT
from harness.resp import bulk, serving
from harness.tokens import NOW

from extproc.core.session_record import Record
from extproc.sessions.redis import scripts
from extproc.sessions.redis.connection import Login
from extproc.sessions.redis.records import REPLACED, WRITE_BYTES, Keys
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.store import RedisStore
from extproc.sessions.redis.topology import Single
from extproc.sessions.store import WouldBlock

ALICE = b"alice".ljust(32)
RECORD = Record(b"k" * 32, b"sealed", NOW + 100, NOW, b"entry", (ALICE,))
KEYS = Keys(b"extproc:")
SCRIPTS = {
    value.sha.encode(): name
    for name, value in vars(scripts).items()
    if isinstance(value, scripts.Script)
}


class Recorded:
    """Knows every script, and replies to each as the test says; `seen` has what was sent."""

    def __init__(self) -> None:
        self.replies: dict[str, bytes] = {}
        self.seen: list[tuple[str, list[bytes]]] = []

    def __call__(self, words: list[bytes]) -> bytes:
        if words[0] in (b"PING", b"SET"):
            return b"+OK\r\n"
        by_hash = words[0] == b"EVALSHA"
        name = SCRIPTS[words[1]] if by_hash else words[0].decode()
        self.seen.append((name, words[3:] if by_hash else words[1:]))
        return self.replies.get(name, b":1\r\n")


@pytest.fixture
def server():
    return Recorded()


@pytest.fixture
async def store(server):
    limits = Limits(operation=PATIENT, connect=PATIENT)
    async with serving(server) as address:

        def single(nursery: trio.Nursery) -> Single:
            return Single(address, Login(), limits, nursery)

        opened = RedisStore(single, limits=limits)
        yield opened
        await opened.aclose()


async def test_nothing_is_read_on_the_event_loop(store):
    with pytest.raises(WouldBlock):
        store.get_nowait(RECORD.key, NOW)
    with pytest.raises(WouldBlock):
        store.revoked_before_nowait([RECORD.key], NOW)
    assert await store.count(NOW) is None


async def test_a_session_is_written_after_its_tags_and_before_the_one_it_replaces_goes(
    store, server
):
    server.replies["DELETE"] = bulk(None, None)
    await store.put(RECORD, replaces=b"o" * 32)
    assert [name for name, _ in server.seen] == ["TAG", "WRITE", "DELETE"]
    (_, tag), (_, write), (_, delete) = server.seen
    word = write[2]
    assert len(word) == WRITE_BYTES and tag[:2] == [KEYS.tag(ALICE), RECORD.key + word]
    assert write[:2] == [KEYS.session(RECORD.key), KEYS.ended(RECORD.key, word)]
    assert delete == [KEYS.session(b"o" * 32)]


async def test_every_write_has_a_word_of_its_own(store, server):
    for _ in range(2):
        await store.put(RECORD)
    words = {sent[2] for name, sent in server.seen if name == "WRITE"}
    assert len(words) == 2


async def test_what_is_ended_leaves_its_tags_also_with_an_entry_of_before_a_refresh(store, server):
    write = b"w" * WRITE_BYTES
    server.replies["ZRANGE"] = bulk(RECORD.key + write)
    server.replies["END"] = bulk(write, ALICE.hex().encode())
    assert await store.end(ALICE, NOW) == 1
    name, removed = server.seen[-1]
    assert name == "ZREM"
    assert removed == [KEYS.tag(ALICE), RECORD.key + write, RECORD.key + REPLACED]


async def test_an_entry_without_a_session_counts_as_none(store, server):
    server.replies["ZRANGE"] = bulk(RECORD.key + REPLACED)
    server.replies["END"] = bulk(None, None)
    assert await store.end(ALICE, NOW) == 0
    assert [name for name, _ in server.seen] == ["ZRANGE", "END"]


async def test_a_session_that_lost_a_tag_is_not_listed_under_it(store, server):
    server.replies["ZRANGE"] = bulk(RECORD.key + REPLACED)
    fields = (str(NOW + 100).encode(), str(NOW).encode(), b"entry")
    server.replies["HMGET"] = bulk(*fields, b"")
    assert await store.tagged(ALICE, NOW) == ()
    server.replies["HMGET"] = bulk(*fields, ALICE.hex().encode())
    assert await store.tagged(ALICE, NOW) == (replace(RECORD, sealed=b""),)


async def test_a_page_goes_on_where_the_one_before_ended_and_reads_a_key_once(store, server):
    name = KEYS.session(RECORD.key)
    server.replies["SCAN"] = b"*2\r\n$2\r\n77\r\n" + bulk(name, name, b"extproc:session:x")
    page = await store.page(None, 10, NOW)
    assert page.after == b"0 77" and [name for name, _ in server.seen] == ["SCAN", "HMGET"]
    server.replies["SCAN"] = b"*2\r\n$1\r\n0\r\n" + bulk()
    assert (await store.page(page.after, 10, NOW)).after is None
    assert server.seen[-1][1][0] == b"77"
