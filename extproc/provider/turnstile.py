"""Turnstile: how much of the held work may go on in one turn of trio's scheduler. Runs in trio.

A turn runs every task that is ready, and nothing else happens meanwhile: no redirect, no renewal, no 401. When a slow provider
answers a thousand logins at once, one turn would verify a thousand ID tokens. So whoever comes back from a provider passes here, a
few in a turn, and between two turns the event loop has its own.
"""

import trio

IN_A_TURN = 2  # each is some milliseconds of CPU


class Turnstile:
    """First come, first served. Where nobody waits it costs no turn."""

    def __init__(self, in_a_turn: int = IN_A_TURN) -> None:
        self._in_a_turn = self._free = in_a_turn
        self._waiting = trio.lowlevel.ParkingLot()
        self._turning = False

    @property
    def waiting(self) -> int:
        """How many wait for a turn."""
        return len(self._waiting)

    async def __call__(self) -> None:
        """Returns in this turn while it has room, else in one that has. Cancelled as any wait is."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            self._turn_soon()
            return
        self._turn_soon()
        await self._waiting.park()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            trio.lowlevel.current_trio_token().run_sync_soon(self._turn)

    def _turn(self) -> None:
        self._turning = False
        self._free = self._in_a_turn - len(self._waiting.unpark(count=self._in_a_turn))
        if self._free < self._in_a_turn:
            self._turn_soon()
