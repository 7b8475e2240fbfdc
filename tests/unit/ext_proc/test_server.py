"""grpc.aio's server: it serves at once, sheds no load in silence, and names an address in use."""

import asyncio
import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from harness.memory_peers import MemoryStore
from harness.serving import NAVIGATION, head

from extproc.addresses import Address
from extproc.contract import SERVICE
from extproc.ext_proc.credentials import CannotListen, ListenAddress
from extproc.ext_proc.server import Listener, options
from extproc.ext_proc.servicer import Servicer
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions
from extproc.settings import Limits, Timeouts

SERVING = health_pb2.HealthCheckResponse.SERVING


def listener(port=0):
    """A listener of a processor without applications, which never needs trio."""
    party = RelyingParty({}, {}, StoredSessions(MemoryStore()))
    address = ListenAddress(Address(host="127.0.0.1", port=port))
    return Listener(Servicer(party, None, Timeouts(), Limits()), address)


def test_it_is_serving_at_once_though_no_provider_can_be_reached():
    async def main():
        listening = listener()
        await listening.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{listening.port}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            for service in ("", SERVICE):
                answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
                assert answer.status == SERVING
        await listening.drain(0)

    asyncio.run(main())


@pytest.mark.parametrize("streams", [1, 20_000, 1_000_000])
def test_grpc_drops_nothing_before_the_limit_of_streams_answers(streams):
    chosen = dict(options(Limits(streams=streams)))
    pending = chosen["grpc.server.max_pending_requests"]
    assert pending >= 2 * streams
    assert chosen["grpc.server.max_pending_requests_hard_limit"] >= 2 * pending


def test_an_address_that_is_taken_is_said_clearly():
    async def main():
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(CannotListen, match="cannot be bound"),
        ):
            await listener(taken.getsockname()[1]).start()

    asyncio.run(main())


def test_a_processor_that_drains_serves_no_new_stream(serving):
    async def test(edge):
        assert len(await edge.call(head(**NAVIGATION))) == 1
        await edge.listener.drain(0)
        # INTERNAL: the client began the call in the moment in which the connection was closed.
        refused = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)
        assert await edge.aborted(head(**NAVIGATION)) in refused

    serving(test)
