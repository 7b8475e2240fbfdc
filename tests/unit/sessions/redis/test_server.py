"""One server: replies, errors, replicas, and a breaker that spares a server that does not answer."""

import pytest
import trio
from coredis.exceptions import ResponseError
from harness.redis import PATIENT
from harness.resp import serving

from extproc.addresses import Address
from extproc.sessions.redis.connection import Login
from extproc.sessions.redis.errors import Unreachable
from extproc.sessions.redis.server import Breaker, Limits, Server

GONE = Address("127.0.0.1", 1)


@pytest.fixture
async def nursery():
    async with trio.open_nursery() as opened:
        yield opened
        opened.cancel_scope.cancel()


def server_at(address: Address, nursery: trio.Nursery, failures: int = 2) -> Server:
    limits = Limits(operation=PATIENT, connect=PATIENT, failures=failures, replication=PATIENT)
    return Server(address, Login(), limits, nursery)


def soon() -> float:
    return trio.current_time() + PATIENT


def test_a_breaker_opens_after_failures_in_a_row_and_closes_with_a_success():
    breaker = Breaker(2)
    breaker.failed("slow")
    breaker.succeeded()
    breaker.failed("slow")
    assert not breaker.open
    breaker.failed("lost")
    assert breaker.open and breaker.reason == "lost"
    breaker.succeeded()
    assert not breaker.open and breaker.reason == ""


async def test_a_command_is_answered_and_an_error_of_the_server_is_no_failure(nursery):
    def answer(words: list[bytes]) -> bytes:
        return b"+PONG\r\n" if words[0] == b"PING" else b"-ERR no\r\n"

    async with serving(answer) as address:
        server = server_at(address, nursery, failures=1)
        assert await server.call(b"PING", until=soon()) == b"PONG"
        with pytest.raises(ResponseError):
            await server.call(b"GET", b"key", until=soon())
        assert not server.breaker.open


async def test_an_open_breaker_refuses_without_the_server_until_a_probe_succeeds(nursery):
    replies: list[bytes | None] = [None]
    seen: list[bytes] = []

    def answer(words: list[bytes]) -> bytes | None:
        seen.append(words[0])
        return replies[0]

    async with serving(answer) as address:
        server = server_at(address, nursery)
        for _ in range(2):
            with pytest.raises(Unreachable, match="the connection was lost"):
                await server.call(b"GET", b"key", until=soon())
        before = len(seen)
        with pytest.raises(Unreachable, match="the connection was lost"):
            await server.call(b"GET", b"key", until=soon())
        assert len(seen) == before, "it was not asked"
        replies[0] = b"+PONG\r\n"
        assert await server.probe(b"PING") == b"PONG"
        assert await server.call(b"PING", until=soon()) == b"PONG"


async def test_a_connection_that_was_lost_is_worth_a_retry_and_a_silent_server_is_not(nursery):
    async with serving(lambda _: None) as address:
        with pytest.raises(Unreachable) as lost:
            await server_at(address, nursery).call(b"PING", until=soon())
    async with serving(lambda _: b"") as address:
        server = server_at(address, nursery)
        with pytest.raises(Unreachable, match="no answer in time") as silent:
            await server.call(b"PING", until=trio.current_time() + 0.01)
    assert lost.value.retry and not silent.value.retry


async def test_a_probe_of_a_server_that_is_away_is_a_failure(nursery):
    server = server_at(GONE, nursery, failures=1)
    with pytest.raises(Unreachable, match="cannot be connected to"):
        await server.probe(b"PING")
    assert server.breaker.open


async def test_a_write_waits_for_its_replicas_and_one_that_none_follows_counts(nursery, caplog):
    followers = [b":2\r\n"]
    seen: list[bytes] = []

    def answer(words: list[bytes]) -> bytes:
        seen.append(words[0])
        return followers[0] if words[0] == b"WAIT" else b"+OK\r\n"

    async with serving(answer) as address:
        server = server_at(address, nursery)
        assert await server.write(b"SET", b"k", b"v", until=soon(), replicas=0) == b"OK"
        assert b"WAIT" not in seen
        assert await server.write(b"SET", b"k", b"v", until=soon(), replicas=2) == b"OK"
        assert seen.count(b"WAIT") == 1 and not caplog.records
        followers[0] = b":1\r\n"
        for _ in range(3):
            assert await server.write(b"SET", b"k", b"v", until=soon(), replicas=2) == b"OK"
        assert seen.count(b"WAIT") == 2, "for a while no write waits"
        assert [line.message for line in caplog.records] == ["store_not_replicated"]


async def test_asking_goes_right_before_its_command(nursery):
    seen: list[bytes] = []

    def answer(words: list[bytes]) -> bytes:
        seen.append(words[0])
        return b"+OK\r\n"

    async with serving(answer) as address:
        await server_at(address, nursery).call(b"GET", b"k", until=soon(), asking=True)
    assert seen[-2:] == [b"ASKING", b"GET"]
