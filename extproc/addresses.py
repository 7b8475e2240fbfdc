"""Addresses that we listen on or call: host:port, or a unix socket."""

import ipaddress
import re
from dataclasses import dataclass


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
        if (match := re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})", value)) and int(
            match[3]
        ) < 65536:
            return Address(host=match[1] or match[2], port=int(match[3]))
    raise ValueError("an address is host:port, such as 127.0.0.1:9500, or unix:/path/to/socket")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback, without asking any resolver."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
