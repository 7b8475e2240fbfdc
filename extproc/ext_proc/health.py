"""grpc.health.v1, and the clients that check it: before the processor closes anything, it reports
NOT_SERVING until they have left.
"""

import asyncio
import time
from collections.abc import Callable

from grpc_health.v1 import health, health_pb2

from extproc.contract import SERVICE

# seconds after a check in which its client counts as one that checks, and will check again
RECENT = 5.0
# seconds that a client has to check again, and to stop sending streams; it may be gone itself
PATIENCE = 5.0
# Minimum wait in seconds. Several Envoys may share one unix socket and report the same peer name,
# so one check does not prove that all have seen NOT_SERVING.
SETTLE = 1.25
# seconds without a new stream: Envoy's threads learn of NOT_SERVING after the thread that checks
QUIET = 0.5
# seconds between two looks
_EVERY = 0.05


class Health(health.aio.HealthServicer):  # type: ignore[name-defined,misc]
    """The standard servicer, which also remembers the last check of each client.

    Used on one event loop.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last_check: dict[str, float] = {}

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: object
    ) -> health_pb2.HealthCheckResponse:
        """Answer a check, as grpc.health.v1 defines it."""
        response: health_pb2.HealthCheckResponse = await super().Check(request, context)
        now = time.monotonic()
        self._last_check = {peer: at for peer, at in self._last_check.items() if at > now - RECENT}
        self._last_check[context.peer()] = now  # type: ignore[attr-defined]
        return response

    @property
    def checkers(self) -> int:
        """How many clients have checked within the last RECENT seconds."""
        return len(self._checked_after(time.monotonic() - RECENT))

    def _checked_after(self, then: float) -> set[str]:
        return {peer for peer, at in self._last_check.items() if at > then}

    async def serving(self) -> None:
        """Report SERVING for the server and for ext_proc."""
        for service in ("", SERVICE):
            await self.set(service, health_pb2.HealthCheckResponse.SERVING)

    async def leave(self, latest: Callable[[], float]) -> None:
        """Report NOT_SERVING, and return when each client that checks knows it and sends no new
        stream; immediately when no client checks.

        Args:
            latest: Returns when the last stream began, on the monotonic clock.
        """
        await self.enter_graceful_shutdown()
        left = time.monotonic()
        checkers = self._checked_after(left - RECENT)
        if not checkers:
            return
        await self._until_informed(checkers, left)
        await asyncio.sleep(max(_EVERY, left + SETTLE - time.monotonic()))
        await self._until_quiet(latest)

    async def _until_informed(self, checkers: set[str], left: float) -> None:
        """Wait until all checkers have asked since `left`, at most PATIENCE seconds from then."""
        while not checkers <= self._checked_after(left):
            if time.monotonic() >= left + PATIENCE:
                return
            await asyncio.sleep(_EVERY)

    async def _until_quiet(self, latest: Callable[[], float]) -> None:
        """Wait until no stream has begun for QUIET seconds, at most PATIENCE seconds."""
        end = time.monotonic() + PATIENCE
        while True:
            now, quiet_at = time.monotonic(), latest() + QUIET
            if now >= min(quiet_at, end):
                return
            await asyncio.sleep(max(_EVERY, quiet_at - now))
