"""Records the last use of sessions in the background, so that no request waits for it."""

from functools import partial

from extproc.core.http import Request
from extproc.core.session import Session
from extproc.ext_proc.bridge import Bridge
from extproc.relying_party.relying_party import RelyingParty

MAX_TOUCHES = 100


class Touches:
    """Background writes of the last use of sessions, at most MAX_TOUCHES at a time.

    A write that is left out costs the session nothing but idle time: its next request writes again.
    """

    def __init__(self, relying_party: RelyingParty, bridge: Bridge) -> None:
        self._relying_party = relying_party
        self._bridge = bridge
        self._running = 0

    def record(self, request: Request, session: Session) -> None:
        """Record in trio that the session is in use now; leave it out at MAX_TOUCHES."""
        if self._running >= MAX_TOUCHES:
            return
        self._running += 1
        self._bridge.spawn("touch", partial(self._touch, request, session))

    async def _touch(self, request: Request, session: Session) -> None:
        try:
            await self._relying_party.touch(request, session)
        finally:
            self._running -= 1
