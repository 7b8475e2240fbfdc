"""Free TCP ports on loopback, below the range that outgoing connections take theirs from."""

import random
import socket

_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on, and that this process was not given before."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many in a row."""
    for _ in range(200):
        first = random.randrange(20_000, 32_000)
        wanted = range(first, first + count)
        if _given.isdisjoint(wanted) and all(_can_bind(port) for port in wanted):
            _given.update(wanted)
            return first
    raise RuntimeError("no free port on 127.0.0.1")


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
