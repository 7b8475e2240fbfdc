"""AddressLimit: how often each client address may have a thing done in a minute."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from extproc.core.errors import Refusal

WINDOW = 60.0  # seconds
ADDRESSES = 10_000  # that are remembered; the one that was counted first is forgotten first
_SUBNET = 64  # bits of an IPv6 address that count: the rest is the client's to choose


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
        network, now = network_of(address), self._clock()
        began, used = self._used.get(network, (now, 0))
        if now >= began + WINDOW:
            del self._used[network]
            began, used = now, 0
        if used >= self._most:
            raise full
        self._used[network] = (began, used + 1)
        if len(self._used) > ADDRESSES:
            self._used.popitem(last=False)

    def give_back(self, address: str) -> None:
        """Count a use no longer, because it was a rightful one."""
        network = network_of(address)
        if network not in self._used:
            return
        began, used = self._used[network]
        self._used[network] = (began, max(0, used - 1))


def network_of(address: str) -> str:
    """The network that an address counts for: the address itself, or the /64 of an IPv6 address.

    Text that is no address is one network of its own, whatever it is.
    """
    try:
        read = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if isinstance(read, ipaddress.IPv4Address):
        return str(read)
    if read.ipv4_mapped is not None:
        return str(read.ipv4_mapped)
    return str(ipaddress.ip_network((int(read), _SUBNET), strict=False))
