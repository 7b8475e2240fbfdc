"""Device: what a user recognises one of their sessions by.

For display only: no decision depends on what a browser calls itself, or on an address.
"""

import ipaddress
import re
from dataclasses import dataclass

from extproc.core.http import Request

# (a part of the User-Agent, the name that users see). The first match counts, because browsers also
# name those that they descend from.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Windows", "Windows"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class Device:
    """A user's browser and network address.

    Attributes:
        agent: browser and system in the processor's own words, such as "Firefox on Linux", or "".
        address: the client's address as Envoy determined it, or "".
    """

    agent: str = ""
    address: str = ""

    @classmethod
    def of(cls, request: Request, trusted_hops: int) -> "Device":
        """The device that sent a request.

        trusted_hops: number of proxies in front of Envoy whose X-Forwarded-For is trusted; Envoy
        itself adds one address.
        """
        return cls(
            _agent(request.header("user-agent")),
            _address(request.header("x-forwarded-for"), trusted_hops),
        )


def _agent(user_agent: str) -> str:
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in user_agent), "")
    if browser or system:
        return " on ".join(part for part in (browser or "A browser", system) if part)
    product = re.match(r"[A-Za-z0-9._-]{1,40}", user_agent)
    return product[0] if product else ""


def _address(forwarded_for: str, trusted_hops: int) -> str:
    addresses = [part.strip() for part in forwarded_for.split(",")]
    client = addresses[-1 - trusted_hops :][0]
    try:
        return str(ipaddress.ip_address(client))
    except ValueError:
        return ""
