"""PerHostResolver: DNS lookups in threads, with a limit of threads for each host name.

A lookup in a thread cannot be interrupted: one that its caller gave up keeps the thread until the
name server times out, about half a minute. trio gives all threads of a process one limit, 40, so a
name server that does not answer for one provider would stop the lookups of all others, and all
other work in threads. Runs in trio.
"""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import trio

AT_ONCE = 8  # lookups of one name; more of them wait, within their own deadline
NAMES = 200  # names that are remembered; beyond it, those without a lookup are forgotten

LookUp = Callable[..., Any]


class PerHostResolver(trio.abc.HostnameResolver):
    """The resolver that trio.socket uses once it is installed.

    Args:
        look_up: Called in a thread, with the arguments of socket.getaddrinfo.
    """

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._limiters: dict[bytes | str | None, trio.CapacityLimiter] = {}

    def __len__(self) -> int:
        """How many names are remembered."""
        return len(self._limiters)

    async def getaddrinfo(
        self,
        host: bytes | None,
        port: bytes | str | int | None,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """Look up a name, as socket.getaddrinfo does, and raise what that raises."""
        work = partial(self._look_up, host, port, family, type, proto, flags)
        return await trio.to_thread.run_sync(
            work, limiter=self._limiter(host), abandon_on_cancel=True
        )

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Look up an address, as socket.getnameinfo does."""
        return await trio.to_thread.run_sync(
            socket.getnameinfo, sockaddr, flags, abandon_on_cancel=True
        )

    def _limiter(self, host: bytes | str | None) -> trio.CapacityLimiter:
        if len(self._limiters) >= NAMES:
            self._limiters = {
                name: limiter for name, limiter in self._limiters.items() if limiter.borrowed_tokens
            }
        return self._limiters.setdefault(host, trio.CapacityLimiter(AT_ONCE))
