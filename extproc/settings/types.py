"""Types of values in the settings: durations, addresses, networks, names.

The error of each type describes a right value.
"""

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

from extproc.addresses import Address, host_fault, parse_address
from extproc.core.http import origin
from extproc.core.oidc.urls import url_fault

MAXIMUM_WORKERS = 256
# names become part of the names of cookies and of Envoy's clusters
NAME = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$"
# What is between is a host, as addresses.host_fault() reads it.
_ORIGIN = re.compile(r"https?://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> object:
    if isinstance(value, str):
        text = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value.strip())
        if text is not None:
            return float(text[1]) * SECONDS[text[2]]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a duration is a number of seconds, or text such as 90s, 30m, 12h")
    return float(value)


def _network(value: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    try:
        return ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise ValueError(
            "a network is an address, or address/bits without host bits, such as 10.0.0.0/8"
        ) from None


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0, le=31_536_000),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"},
            ]
        }
    ),
]
Listen = Annotated[
    Address,
    PlainValidator(parse_address),
    # as it is written in the file
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["127.0.0.1:9500", "unix:/run/extproc.sock"]}),
]
Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    PlainValidator(_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["10.0.0.0/8", "2001:db8::/32"]}),
]
Name = Annotated[str, Field(pattern=NAME)]


def _workers(value: object) -> object:
    if value == "auto" or (
        isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAXIMUM_WORKERS
    ):
        return value
    raise ValueError(f"a number of processes, 1 to {MAXIMUM_WORKERS}, or auto")


def _off(value: object) -> object:
    """YAML 1.1 reads an unquoted `off` as false."""
    return "off" if value is False else value


def _origin(value: object) -> object:
    match = _ORIGIN.fullmatch(value) if isinstance(value, str) else None
    if isinstance(value, str) and match is not None and host_fault(match[1]) is None:
        try:
            # reading the port parses it
            _ = urlsplit(value).port
        except ValueError:
            return _no_origin()
        return origin(value)
    return _no_origin()


def _any_origin(value: object) -> object:
    if value in ("*", "null"):
        return value
    try:
        return _origin(value)
    except ValueError as error:
        raise ValueError(f'{error}; every origin is "*", and none is "null", in quotes') from None


def _no_origin() -> object:
    raise ValueError(
        "an origin is scheme://host or scheme://host:port in lower case, without a path, such as "
        "https://portal.example.com"
    )


# Before the values of a Literal that has "off" among them.
OFF = BeforeValidator(_off)
Origin = Annotated[
    str,
    BeforeValidator(_origin),
    WithJsonSchema({"type": "string", "pattern": f"^{_ORIGIN.pattern}$"}),
]
AnyOrigin = Annotated[
    str,
    BeforeValidator(_any_origin),
    WithJsonSchema({"type": "string", "pattern": rf"^(\*|null|{_ORIGIN.pattern})$"}),
]
Workers = Annotated[
    int | Literal["auto"],
    PlainValidator(_workers),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAXIMUM_WORKERS},
                {"const": "auto"},
            ]
        }
    ),
]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
SigningAlg = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]


class Model(BaseModel):
    """Base of all settings: frozen, strict about types, without unknown keys; errors quote no
    value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


def base_address(value: str, what: str, *, path: bool = False) -> str:
    """Check a base address: http or https and a host, without user, query or fragment.

    Args:
        value: The address.
        what: The name of its key, for the text of the error.
        path: Whether the address may have a path.

    Returns:
        The address, unchanged.

    Raises:
        ValueError: It is not a base address.
    """
    right = (
        f"{what} is an address such as https://host{'/path' if path else ''}, with no user, "
        "query or fragment"
    )
    try:
        parts = urlsplit(value)
        # reading the port parses it
        _ = parts.port
    except ValueError:
        raise ValueError(f"{right}; its host or its port is not valid") from None
    if "://" not in value:
        raise ValueError(f"{right}; it does not begin with https:// or http://")
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.username is not None
        or "?" in value
        or "#" in value
    ):
        raise ValueError(right)
    fault = url_fault(value)
    if fault is not None:
        raise ValueError(f"{right}; it {fault}")
    if not value.startswith(f"{parts.scheme}://"):
        raise ValueError(f"{what} begins with {parts.scheme}:// in lower case")
    if not path and parts.path not in ("", "/"):
        raise ValueError(f"{what} has no path")
    return value


def called_address(value: str, what: str) -> str:
    """Check a base address that the processor's HTTP client calls; it may have a path.

    Returns it unchanged. Raises ValueError, with `what` as the name of its key.
    """
    return base_address(value, what, path=True)
