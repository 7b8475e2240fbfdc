"""One connection: opened once for all who wait, and again after it was lost."""

import logging

import pytest
import trio
from coredis.exceptions import ConnectionError, ResponseError
from harness.redis import PATIENT
from harness.resp import serving
from pydantic import SecretStr

from extproc.addresses import Address
from extproc.sessions.redis.connection import Connection, Login, reply_to
from extproc.sessions.redis.errors import Unreachable

pong = b"+PONG\r\n"


@pytest.fixture
async def nursery():
    async with trio.open_nursery() as opened:
        yield opened
        opened.cancel_scope.cancel()


def to(address: Address, nursery: trio.Nursery) -> Connection:
    return Connection(address, Login(), PATIENT, nursery)


async def test_all_who_wait_get_one_connection(nursery):
    async with serving(lambda _: pong) as address:
        connection, got = to(address, nursery), []

        async def get() -> None:
            got.append(await connection.get())

        async with trio.open_nursery() as callers:
            for _ in range(10):
                callers.start_soon(get)
        assert len(set(map(id, got))) == 1 and await connection.get() is got[0]


async def test_a_caller_that_leaves_cancels_no_connection_of_others(nursery):
    async with serving(lambda _: pong) as address:
        connection = to(address, nursery)
        with trio.CancelScope() as left:
            left.cancel()
            await connection.get()
        assert (await connection.get()).usable


async def test_after_it_was_closed_it_is_opened_again(nursery):
    async with serving(lambda _: pong) as address:
        connection = to(address, nursery)
        first = await connection.get()
        connection.close()
        second = await connection.get()
        assert second is not first and second.usable


async def test_a_server_that_is_away_is_an_error_with_its_address_and_reason(nursery):
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1: cannot be connected to"):
        await to(Address("127.0.0.1", 1), nursery).get()


async def test_a_lost_connection_is_blamed_once_and_the_next_one_again(nursery):
    async with serving(lambda _: pong) as address:
        connection = to(address, nursery)
        first = await connection.get()
        assert connection.blame(first) and not connection.blame(first)
        connection.close()
        assert connection.blame(await connection.get())
        assert connection.blame(None) and connection.blame(None), "each time that none was open"


async def test_a_reply_is_given_and_an_error_of_the_server_is_a_reply(nursery):
    def answer(words: list[bytes]) -> bytes:
        return pong if words[0] == b"PING" else b"-ERR no\r\n"

    async with serving(answer) as address:
        opened = await to(address, nursery).get()
        until = trio.current_time() + PATIENT
        assert await reply_to(opened.create_request(b"PING"), until) == b"PONG"
        refused = await reply_to(opened.create_request(b"GET", b"k", raise_exceptions=False), until)
        assert isinstance(refused, ResponseError)


async def test_a_server_that_hangs_up_is_a_lost_connection(nursery):
    async with serving(lambda _: None) as address:
        opened = await to(address, nursery).get()
        with pytest.raises(ConnectionError):
            await reply_to(opened.create_request(b"PING"), trio.current_time() + PATIENT)


async def test_a_server_that_is_silent_is_too_slow(nursery):
    async with serving(lambda _: b"") as address:
        opened = await to(address, nursery).get()
        with pytest.raises(trio.TooSlowError):
            await reply_to(opened.create_request(b"PING"), trio.current_time())


def test_a_password_is_not_printed_and_coredis_logs_nothing_by_itself():
    assert "hunter2" not in repr(Login("user", SecretStr("hunter2")))
    assert not logging.getLogger("coredis").isEnabledFor(logging.ERROR)
