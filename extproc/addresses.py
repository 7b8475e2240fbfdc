"""Addresses that we listen on or call: host:port, or a unix socket."""

import ipaddress
import re
from dataclasses import dataclass

# The wildcards, and how a client on the same machine reaches them.
_EVERY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Address:
    """host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(value: object) -> Address:
    """host:port, [v6]:port or unix:PATH. Raises ValueError with what would be right."""
    if isinstance(value, Address):
        return value
    if isinstance(value, str):
        if value.startswith("unix:") and len(value) > 5:
            return Address(path=value[5:])
        if (
            match := re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})", value)
        ) and int(match[3]) < 65536:
            return Address(host=match[1] or match[2], port=int(match[3]))
    raise ValueError("an address is host:port, such as 127.0.0.1:9500, or unix:/path/to/socket")


def of_worker(listen: Address, number: int) -> Address:
    """The address of a worker, the first of several being number 1: port, port + 1, ..., or
    x.1.sock, x.2.sock, ...

    Raises ValueError when there is no such port.
    """
    if listen.path is not None:
        stem, dot, suffix = listen.path.rpartition(".")
        if not dot or "/" in suffix:
            return Address(path=f"{listen.path}.{number}")
        return Address(path=f"{stem}.{number}.{suffix}")
    port = listen.port + number - 1
    if listen.port == 0 or port > 65535:
        raise ValueError(f"{listen} leaves no port for worker {number}")
    return Address(host=listen.host, port=port)


def collide(one: Address, other: Address) -> bool:
    """Whether two listeners of one machine cannot both be had."""
    if one.path is not None or other.path is not None:
        return one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (one.host, other.host)}
    return len(hosts) == 1 or bool(hosts & set(_EVERY))


def reachable(listen: Address) -> Address:
    """Where a listener on every address is reached from its own machine."""
    loopback = _EVERY.get(listen.host)
    return Address(host=loopback, port=listen.port) if loopback else listen


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback, without asking any resolver."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
