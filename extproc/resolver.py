"""PerHostResolver looked up, in threads, which nobody can interrupt. Runs in trio.

trio gives all threads of a process one limit, 40, and a lookup that was given up keeps its thread
until the name server's time is over: half a minute. So a name server that does not answer for one
provider would stop everybody's lookups, and whatever else is done in threads. Here each name has a
limit of its own.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import trio

AT_ONCE = 8  # lookups of one name; more wait, within their own deadline
NAMES = 200  # beyond so many, those that nobody looks up are forgotten

LookUp = Callable[..., Any]


class PerHostResolver(trio.abc.HostnameResolver):
    """What trio.socket asks; look_up: as socket.getaddrinfo."""

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._threads: dict[bytes | str | None, trio.CapacityLimiter] = {}

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        work = partial(self._look_up, host, port, family, type, proto, flags)
        return await trio.to_thread.run_sync(
            work, limiter=self._limiter(host), abandon_on_cancel=True
        )

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        return await trio.to_thread.run_sync(
            socket.getnameinfo, sockaddr, flags, abandon_on_cancel=True
        )

    def _limiter(self, host: bytes | str | None) -> trio.CapacityLimiter:
        if len(self._threads) >= NAMES:
            busy = {
                name: limiter for name, limiter in self._threads.items() if limiter.borrowed_tokens
            }
            self._threads = busy
        return self._threads.setdefault(host, trio.CapacityLimiter(AT_ONCE))
