"""The ext_proc servicer on grpc.aio: the parts that all streams share, and one Stream a call."""

import itertools
import time

from extproc.ext_proc.admission import Admission
from extproc.ext_proc.bridge import Bridge
from extproc.ext_proc.context import Context
from extproc.ext_proc.error_boundary import ErrorBoundary
from extproc.ext_proc.live_streams import LiveStreams
from extproc.ext_proc.shared import Shared
from extproc.ext_proc.stream import Stream
from extproc.ext_proc.stream_log import RateLimitedLog, StreamLog
from extproc.ext_proc.touches import Touches
from extproc.metrics import Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.settings import Limits, Timeouts


class Servicer:
    """The ext_proc service. It holds counters and the live streams; a request's state is its
    Stream's.

    Args:
        relying_party: Decides and carries out steps.
        bridge: The way from asyncio into trio.
        timeouts: How long held work may take.
        limits: How many streams and how much held work there may be at the same time.
        metrics: Where streams and answers are counted; None for metrics of its own.
        descriptors: File descriptors that the process may have; None for any number.
        providers: How many providers there are.
    """

    def __init__(
        self,
        relying_party: RelyingParty,
        bridge: Bridge,
        timeouts: Timeouts,
        limits: Limits,
        metrics: Metrics | None = None,
        descriptors: int | None = None,
        providers: int = 1,
    ) -> None:
        self.admission = Admission(limits, descriptors=descriptors, providers=providers)
        self.live_streams = LiveStreams(relying_party, limits.live_per_user)
        # when the last stream began, on the monotonic clock
        self.latest = float("-inf")
        self._ids = itertools.count(1)
        self._rate_limited_log = RateLimitedLog()
        self._shared = Shared(
            relying_party,
            ErrorBoundary(relying_party),
            bridge,
            timeouts,
            metrics or Metrics(),
            self.admission,
            self.live_streams,
            Touches(relying_party, bridge),
        )

    async def process(self, _: object, context: Context) -> None:
        """Serve one stream: the handler of the method Process."""
        self.latest = time.monotonic()
        log = StreamLog(next(self._ids), self._rate_limited_log)
        await Stream(self._shared, context, log).run()
