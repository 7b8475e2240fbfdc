"""The admin listener of a process."""

from contextlib import asynccontextmanager

import httpx
import pytest
import trio
from harness.ports import free_port
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from extproc.addresses import Address
from extproc.runtime.admin_listener import AdminListener, CannotServeAdmin


def app(text):
    async def answer(request):
        return PlainTextResponse(text)

    return Starlette(routes=[Route("/", answer)])


@asynccontextmanager
async def served(listener):
    async with trio.open_nursery() as nursery:
        bound = trio.Event()
        nursery.start_soon(listener.serve, bound.set)
        await bound.wait()
        yield
        listener.close()


async def test_another_application_answers_from_the_next_request_on():
    address = Address(host="127.0.0.1", port=free_port())
    listener = AdminListener(address, app("old"))
    async with served(listener), httpx.AsyncClient() as client:
        assert (await client.get(f"http://{address}/")).text == "old"
        listener.app = app("new")
        assert (await client.get(f"http://{address}/")).text == "new"


async def test_when_it_is_closed_the_address_is_free():
    address = Address(host="127.0.0.1", port=free_port())
    for text in ("old", "new"):
        async with served(AdminListener(address, app(text))), httpx.AsyncClient() as client:
            assert (await client.get(f"http://{address}/")).text == text


async def test_an_address_that_is_taken_is_an_error_for_the_operator():
    (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with taken:
        address = Address(host="127.0.0.1", port=taken.socket.getsockname()[1])
        started = []
        with pytest.raises(CannotServeAdmin, match=f"admin: {address} cannot be bound"):
            await AdminListener(address, app("")).serve(lambda: started.append(1))
        assert not started
