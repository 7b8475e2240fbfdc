"""What a user recognises one of their sessions by. Display only: no decision goes by what a browser
calls itself, or by an address.
"""

import ipaddress
import re
from dataclasses import dataclass

from extproc.core.http import Request

# (what stands in the User-Agent, what we call it), first match; browsers name those that they
# descend from as well
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
    """agent: words of ours, such as "Firefox on Linux". address: the client's, as Envoy found it;
    each may be ''.
    """

    agent: str = ""
    address: str = ""

    @classmethod
    def of(cls, request: Request, trusted_hops: int) -> "Device":
        """trusted_hops: proxies in front of Envoy whose X-Forwarded-For is believed; Envoy adds one
        address of its own.
        """
        return cls(
            _agent(request.header("user-agent")),
            _address(request.header("x-forwarded-for"), trusted_hops),
        )


def _agent(said: str) -> str:
    browser = next((name for mark, name in _BROWSERS if mark in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    if browser or system:
        return " on ".join(part for part in (browser or "A browser", system) if part)
    product = re.match(r"[A-Za-z0-9._-]{1,40}", said)
    return product[0] if product else ""


def _address(forwarded_for: str, trusted_hops: int) -> str:
    found = [part.strip() for part in forwarded_for.split(",")][-1 - trusted_hops :][0]
    try:
        return str(ipaddress.ip_address(found))
    except ValueError:
        return ""
