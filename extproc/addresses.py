"""Addresses that the processor listens on or calls: host:port, or a unix socket."""

import ipaddress
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

# How a client on the same machine reaches a listener on every address.
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})")
# A label of a host name, and the characters of a whole name (RFC 1035 section 2.3.4). Underscores
# are in no registered name, but in those that machines and containers have.
LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
LONGEST_NAME = 253
_UNIX = "unix:"
# What HTTP calls a listener on a unix socket: its Host.
_HTTP_ON_A_SOCKET = "http://localhost"
# gRPC reads them as a URL's, and Envoy as they are.
_NOT_IN_PATHS = "%?#"
# Bytes of a path: sockaddr_un of Linux has room for 108, the last of which is zero.
LONGEST_PATH = 107
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"{_UNIX}{self.path}"
        return f"{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """Return a host as it stands in a URL: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def parse_address(value: object) -> Address:
    """Read `host:port`, `[v6]:port` or `unix:PATH`; an Address is returned as it is.

    Raises:
        ValueError: The text is none of these; the message says what would be right.
    """
    if isinstance(value, Address):
        return value
    if isinstance(value, str):
        path = value.removeprefix(_UNIX)
        if path and path != value:
            return Address(path=_checked_path(path))
        match = _HOST_AND_PORT.fullmatch(value)
        if match is not None and int(match[3]) <= _LAST_PORT and _is_host(match[1], match[2]):
            return Address(host=match[1] or match[2], port=int(match[3]))
    raise ValueError("an address is host:port, such as 127.0.0.1:9500, or unix:/path/to/socket")


def _checked_path(path: str) -> str:
    """Return the path of a socket. Raises ValueError if one of Envoy, gRPC and the kernel would
    refuse it, or read it as another.
    """
    if not path.isprintable() or path.startswith("@") or set(path) & set(_NOT_IN_PATHS):
        raise ValueError(
            "the path of a unix socket has no control characters and none of % ? #, and does not "
            "begin with @; write it as unix:/path/to/socket"
        )
    if len(path.encode()) > LONGEST_PATH:
        raise ValueError(
            f"the path of a unix socket has {LONGEST_PATH} bytes at most, and this one "
            f"{len(path.encode())}; choose a shorter one"
        )
    return path


def _is_host(bracketed_host: str | None, host: str) -> bool:
    """Whether it is an IPv6 address that stood in brackets, or else an IPv4 address or a name."""
    try:
        if bracketed_host is not None:
            return ipaddress.IPv6Address(bracketed_host) is not None
        labels = host.removesuffix(".").split(".")
        # No top-level domain is a number, so such a host is an address (RFC 3696 section 2).
        if labels[-1].isdigit():
            return ipaddress.IPv4Address(host) is not None
    except ValueError:
        return False
    return len(host) <= LONGEST_NAME and all(LABEL.fullmatch(label) for label in labels)


def host_fault(host: str) -> str | None:
    """Describe why clients send no such Host, in words that follow the host; None if they do.

    Browsers write names in lower case, IPv4 addresses as four numbers, and IPv6 addresses in
    brackets in their shortest form (WHATWG URL, "host serializing"). The port is no part of it.
    """
    if host.startswith("[") and host.endswith("]"):
        try:
            # Its zone names an interface of one machine (RFC 6874).
            address = ipaddress.IPv6Address(host[1:-1].replace("%", "no zone"))
        except ValueError:
            return "is no IPv6 address in brackets"
        right = bracketed(_as_browsers_write(address))
        return None if host == right else f"is an address that clients write as {right}"
    if host != host.lower() or host.endswith(".") or not _is_host(None, host):
        return "is not a host name in lower case without a port"
    return None


def _as_browsers_write(address: ipaddress.IPv6Address) -> str:
    if address.ipv4_mapped is None:
        return address.compressed
    # Python 3.13 writes the address of an IPv4 host with dots, and browsers do not.
    return f"::ffff:{int(address) >> 16 & 0xFFFF:x}:{int(address) & 0xFFFF:x}"


def of_worker(listen: Address, number: int) -> Address:
    """Return the address of one worker: port, port + 1, ..., or x.1.sock, x.2.sock, ...

    Args:
        listen: The address of the settings, which is the first worker's where it is a port.
        number: The worker's number, from 1.

    Raises:
        ValueError: There is no such port, or the path would be too long.
    """
    if listen.path is not None:
        stem, dot, suffix = listen.path.rpartition(".")
        if not dot or "/" in suffix:
            return Address(path=_checked_path(f"{listen.path}.{number}"))
        return Address(path=_checked_path(f"{stem}.{number}.{suffix}"))
    port = listen.port + number - 1
    if listen.port == 0 or port > _LAST_PORT:
        raise ValueError(f"{listen} leaves no port for worker {number}")
    return Address(host=listen.host, port=port)


def collide(one: Address, other: Address) -> bool:
    """Return whether one machine cannot have listeners on both addresses at the same time."""
    if one.path is not None and other.path is not None:
        return _normal(one.path) == _normal(other.path)
    if one.path is not None or other.path is not None:
        return False
    if one.port != other.port or one.port == 0:
        return False
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (one.host, other.host)}
    return len(hosts) == 1 or bool(hosts & set(_LOOPBACK_OF))


def _normal(path: str) -> str:
    """A path of a socket in one spelling: normpath alone keeps two slashes at its head."""
    return posixpath.normpath("/" + path.lstrip("/") if path.startswith("/") else path)


def reachable(listen: Address) -> Address:
    """Return the address at which a client on the same machine reaches this listener."""
    loopback = _LOOPBACK_OF.get(listen.host)
    return Address(host=loopback, port=listen.port) if loopback else listen


def http_target(place: str) -> tuple[str, str | None]:
    """Return what an HTTP client needs to call a listener: its base URL, and the path of its unix
    socket or None.

    Args:
        place: `host:port`, `unix:PATH`, or a URL.

    Raises:
        ValueError: The path of the socket is none.
    """
    if place.startswith(_UNIX):
        return _HTTP_ON_A_SOCKET, parse_address(place).path
    return (place if "://" in place else f"http://{place}"), None


def http_client(place: str, timeout: float) -> "httpx.Client":
    """Return a client for a listener of this machine, without the proxies of the environment.

    Args:
        place: As of `http_target`.
        timeout: Seconds without an answer.

    Raises:
        ValueError: The path of the socket is none.
        httpx.InvalidURL: The place is no address.
    """
    # Most of those who read addresses call none.
    import httpx

    base, path = http_target(place)
    transport = httpx.HTTPTransport(uds=path, trust_env=False)
    return httpx.Client(base_url=base, transport=transport, trust_env=False, timeout=timeout)


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's loopback, without a DNS lookup."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
