"""grpc.health.v1: a server that leaves waits for those who check it, and for nobody else."""

import asyncio
import time

from grpc_health.v1 import health_pb2

from extproc.contract import SERVICE
from extproc.ext_proc.health import Health

SERVING, NOT_SERVING = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
)


class Caller:
    """What the servicer asks of a grpc context."""

    def __init__(self, peer):
        self._peer = peer

    def peer(self):
        return self._peer


async def ask(health, peer, service=""):
    return (await health.Check(health_pb2.HealthCheckRequest(service=service), Caller(peer))).status


async def steps(task, count=20):
    """Lets the loop turn; gives whether the task has ended."""
    for _ in range(count):
        await asyncio.sleep(0)
    return task.done()


def test_whoever_checks_is_counted_once():
    async def main():
        health = Health()
        await health.serving()
        assert health.checkers == 0
        for peer, service in (("a", ""), ("b", SERVICE), ("a", SERVICE)):
            assert await ask(health, peer, service) == SERVING
        assert health.checkers == 2

    asyncio.run(main())


def test_leaving_is_over_at_once_when_nobody_checks():
    async def main():
        health = Health()
        await health.serving()
        await health.leave(time.monotonic)
        assert await ask(health, "a") == NOT_SERVING

    asyncio.run(main())


def test_leaving_is_over_when_everybody_who_checks_has_heard_it_and_no_stream_comes_any_more():
    async def main():
        health = Health()
        await health.serving()
        for peer in ("a", "b"):
            await ask(health, peer)
        latest = [0.0]
        leaving = asyncio.create_task(health.leave(lambda: latest[0] or time.monotonic()))
        assert not await steps(leaving)
        assert await ask(health, "a") == NOT_SERVING
        await asyncio.sleep(2)  # by time: longer than it stays for those who have heard
        assert not leaving.done()
        assert await ask(health, "b") == NOT_SERVING
        await asyncio.sleep(0.3)  # by time: longer than it stays when all have
        assert not leaving.done(), "they still come"
        latest[0] = time.monotonic()
        await leaving

    asyncio.run(main())
