"""AddressLimit: how often each client address may have a thing done in a minute."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from extproc.core.errors import Refusal

WINDOW = 60.0  # seconds
ADDRESSES = 10_000  # that are remembered; the one that was counted first is forgotten first
# Bits of an IPv6 address that count. The rest is the client's to choose: one host has a /64, and
# one customer may have a /48.
_SUBNET, _SITE = 64, 48
MORE = 8  # times as much as one /64 that a /48 may have


class AddressLimit:
    """Counts by network address, in windows that begin with an address's first use.

    Args:
        most: Uses of one address in a window.
        clock: Returns seconds, and never goes back.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._used: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used)

    def take(self, address: str, full: Refusal) -> None:
        """Count a use. Raises `full` if the address has none left."""
        now = self._clock()
        counted: dict[str, tuple[float, int]] = {}
        for network, times in networks_of(address):
            began, used = self._used.get(network, (now, 0))
            if now >= began + WINDOW:
                del self._used[network]
                began, used = now, 0
            if used >= self._most * times:
                raise full
            counted[network] = (began, used + 1)
        self._used.update(counted)
        while len(self._used) > ADDRESSES:
            self._used.popitem(last=False)

    def give_back(self, address: str) -> None:
        """Count a use no longer, because it was a rightful one."""
        for network, _ in networks_of(address):
            if network in self._used:
                began, used = self._used[network]
                self._used[network] = (began, max(0, used - 1))


def networks_of(address: str) -> tuple[tuple[str, int], ...]:
    """The networks that an address counts for, and how many times as much each may have as one
    address: the address itself, or the /64 and the /48 of an IPv6 address.

    Text that is no address is one network of its own, whatever it is.
    """
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return (("", 1),)
    if isinstance(read, ipaddress.IPv4Address):
        return ((str(read), 1),)
    if read.ipv4_mapped is not None:
        return ((str(read.ipv4_mapped), 1),)
    return tuple(
        (str(ipaddress.ip_network((int(read), bits), strict=False)), times)
        for bits, times in ((_SUBNET, 1), (_SITE, MORE))
    )
