"""grpc.health.v1, and who asks: a server that is about to go is left by those who check it before
it closes anything.
"""

import asyncio
import time
from collections.abc import Callable

from grpc_health.v1 import health, health_pb2

from extproc.contract import SERVICE

RECENT = 5.0  # seconds: who asked within them is somebody who checks, and will ask again
PATIENCE = 5.0  # seconds that one who checks has to ask again; it may be gone itself
# seconds at least: behind one unix socket there may be several who check every second, all of one
# name
SETTLE = 1.25
# seconds without a stream, and at most PATIENCE more for it: Envoy's threads hear of us after the
# one that checks
QUIET = 0.5
_EVERY = 0.05


class Health(health.aio.HealthServicer):  # type: ignore[name-defined,misc]
    """The standard servicer, which remembers who asked last. Used on one event loop."""

    def __init__(self) -> None:
        super().__init__()
        self._asked: dict[str, float] = {}

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: object
    ) -> health_pb2.HealthCheckResponse:
        answer: health_pb2.HealthCheckResponse = await super().Check(request, context)
        now = time.monotonic()
        self._asked = {peer: at for peer, at in self._asked.items() if at > now - RECENT}
        self._asked[context.peer()] = now  # type: ignore[attr-defined]
        return answer

    @property
    def checkers(self) -> int:
        """How many have asked lately."""
        return len(self._since(time.monotonic() - RECENT))

    def _since(self, then: float) -> set[str]:
        return {peer for peer, at in self._asked.items() if at > then}

    async def serving(self) -> None:
        for service in ("", SERVICE):
            await self.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def leave(self, latest: Callable[[], float]) -> None:
        """NOT_SERVING, and back when everybody who checks has heard it and sends nothing any more;
        at once where nobody does.

        latest: when the last stream came, on the monotonic clock.
        """
        await self.enter_graceful_shutdown()
        left = time.monotonic()
        expected = self._since(left - RECENT)
        if not expected:
            return
        end = left + PATIENCE
        while not expected <= self._since(left) and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(_EVERY)
        await asyncio.sleep(max(_EVERY, left + SETTLE - time.monotonic()))
        heard = time.monotonic()
        while (now := time.monotonic()) < min(latest() + QUIET, heard + PATIENCE):  # noqa: ASYNC110
            await asyncio.sleep(max(_EVERY, latest() + QUIET - now))
