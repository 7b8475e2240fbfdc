"""Free TCP ports on loopback, below the range of outgoing connections.

A port belongs to the process that gets it until the process ends, also while nothing listens on it,
so a part can be started again on its port. Other test processes of the machine see the port in a
file of claims, which has a line `PORT PID` for each.
"""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLAIMS = Path(tempfile.gettempdir()) / f"extproc-ports-{os.getuid()}"


def free_port() -> int:
    """A port of 127.0.0.1 without a listener that no test process has claimed."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many free ports in a row."""
    with _claims() as claims:
        for _ in range(200):
            first = random.randrange(20_000, 32_000)
            wanted = range(first, first + count)
            if claims.keys().isdisjoint(wanted) and all(_can_bind(port) for port in wanted):
                claims.update(dict.fromkeys(wanted, os.getpid()))
                return first
    raise RuntimeError("no free port on 127.0.0.1")


@contextmanager
def _claims() -> Iterator[dict[int, int]]:
    """The claims of running processes, by port. Additions are written when the block ends.

    The file is locked meanwhile.
    """
    with open(os.open(CLAIMS, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = [line.split() for line in file.read().splitlines()]
        living = {pid for pid in {pid for _, pid in lines} if Path(f"/proc/{pid}").exists()}
        claims = {int(port): int(pid) for port, pid in lines if pid in living}
        yield claims
        file.seek(0)
        file.truncate()
        file.writelines(f"{port} {pid}\n" for port, pid in claims.items())


def _can_bind(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections at this port."""
    try:
        socket.create_connection((host, port), timeout=1).close()  # by time: asked again
    except OSError:
        return False
    return True
