"""Commands wherever their key is: redirected, sent once more, and never an error of Redis' own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from harness.redis import PATIENT
from harness.resp import bulk, serving

from extproc.addresses import Address
from extproc.core.errors import StoreUnavailable
from extproc.sessions.redis.client import HOPS, Client, ScanStep
from extproc.sessions.redis.connection import Login
from extproc.sessions.redis.scripts import Script
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.topology import Single

LIMITS = Limits(operation=PATIENT, connect=PATIENT)
KEY = b"k"


class Answers:
    """Replies to what is not the keeper's own; `seen` has the commands."""

    def __init__(self, *replies: bytes | None) -> None:
        self.replies = list(replies)
        self.seen: list[list[bytes]] = []

    def __call__(self, words: list[bytes]) -> bytes | None:
        if words[0] in (b"PING", b"SET"):
            return b"+OK\r\n"
        self.seen.append(words)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@asynccontextmanager
async def client_of(address: Address) -> AsyncIterator[Client]:
    def single(nursery: trio.Nursery) -> Single:
        return Single(address, Login(), LIMITS, nursery)

    client = Client(single, LIMITS, b"extproc:")
    try:
        yield client
    finally:
        await client.aclose()


async def test_the_first_command_connects_and_is_answered():
    answers = Answers(bulk(b"value"))
    async with serving(answers) as address, client_of(address) as client:
        assert client.missing == "it was not connected to yet"
        assert await client.command(KEY, b"HMGET", KEY, b"field") == [b"value"]
        assert client.missing is None


async def test_a_command_whose_connection_dies_is_sent_once_more_and_no_more():
    lost_once = Answers(None, b"+OK\r\n")
    async with serving(lost_once) as address, client_of(address) as client:
        assert await client.command(KEY, b"GET", KEY) == b"OK"
    assert len(lost_once.seen) == 2
    always_lost = Answers(None)
    async with serving(always_lost) as address, client_of(address) as client:
        with pytest.raises(StoreUnavailable, match="the connection was lost"):
            await client.command(KEY, b"GET", KEY)
    assert len(always_lost.seen) == 2


async def test_a_command_that_is_redirected_is_sent_to_the_other_server():
    other = Answers(b"+there\r\n")
    async with serving(other) as there:
        moved = Answers(b"-MOVED 1 %s\r\n" % str(there).encode())
        asked = Answers(b"-ASK 1 %s\r\n" % str(there).encode())
        for first, words in ((moved, [b"GET"]), (asked, [b"ASKING", b"GET"])):
            other.seen.clear()
            async with serving(first) as here, client_of(here) as client:
                assert await client.command(KEY, b"GET", KEY) == b"there"
            assert [command[0] for command in other.seen] == words


async def test_a_redirection_without_a_host_is_to_another_port_of_the_same_host():
    other = Answers(b"+there\r\n")
    async with serving(other) as there:
        for word in (b"MOVED", b"ASK"):
            first = Answers(b"-%s 1 :%d\r\n" % (word, there.port))
            async with serving(first) as here, client_of(here) as client:
                assert await client.command(KEY, b"GET", KEY) == b"there"


async def test_servers_that_redirect_to_one_another_are_given_up():
    answers = Answers(b"")
    async with serving(answers) as address, client_of(address) as client:
        answers.replies = [b"-MOVED 1 %s\r\n" % str(address).encode()]
        with pytest.raises(StoreUnavailable, match="redirected in a circle"):
            await client.command(KEY, b"GET", KEY)
    assert len(answers.seen) == HOPS


async def test_a_script_is_sent_by_its_hash_and_whole_to_a_server_that_does_not_know_it():
    script = Script("return 1")
    answers = Answers(b"-NOSCRIPT No matching script.\r\n", b":1\r\n")
    async with serving(answers) as address, client_of(address) as client:
        assert await client.script(script, (KEY,), b"argument") == 1
        assert await client.script(script, (KEY,), b"argument") == 1
    by_hash = [b"EVALSHA", script.sha.encode(), b"1", KEY, b"argument"]
    assert answers.seen == [by_hash, [b"EVAL", b"return 1", *by_hash[2:]], by_hash]


async def test_a_key_of_another_type_has_no_values_and_other_errors_are_unavailable():
    answers = Answers(b"-WRONGTYPE Operation against a key\r\n", b"-ERR sealed-secret\r\n")
    async with serving(answers) as address, client_of(address) as client:
        assert await client.values(KEY, b"HMGET", KEY, b"field") is None
        with pytest.raises(StoreUnavailable) as refused:
            await client.values(KEY, b"HMGET", KEY, b"field")
    assert "secret" not in refused.value.detail


async def test_a_walk_through_all_keys_ends_with_the_last_server():
    def step(cursor: bytes, *keys: bytes) -> bytes:
        return b"*2\r\n$%d\r\n%s\r\n" % (len(cursor), cursor) + bulk(*keys)

    answers = Answers(step(b"7", b"a"), step(b"0", b"b"))
    async with serving(answers) as address, client_of(address) as client:
        assert await client.scan(b"*", 0, 0, 10) == ScanStep([b"a"], 0, 7)
        assert await client.scan(b"*", 0, 7, 10) == ScanStep([b"b"], None, 0)
        assert await client.scan(b"*", 5, 0, 10) == ScanStep([], None, 0), "a server that is gone"
    assert answers.seen[1][:2] == [b"SCAN", b"7"]


async def test_a_reply_that_makes_no_sense_is_unavailable():
    async with serving(Answers(b":5\r\n")) as address, client_of(address) as client:
        with pytest.raises(StoreUnavailable):
            await client.scan(b"*", 0, 0, 10)


async def test_after_its_end_everything_is_unavailable():
    async with serving(Answers(b"+OK\r\n")) as address, client_of(address) as client:
        await client.command(KEY, b"GET", KEY)
        await client.aclose()
        with pytest.raises(StoreUnavailable, match="it was closed"):
            await client.command(KEY, b"GET", KEY)
