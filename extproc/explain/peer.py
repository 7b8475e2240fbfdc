"""The client of a request as Envoy sees it, and whether a rule admits it whoever its user is."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from extproc.explain.client_certificate import Certificate
from extproc.explain.route import ChosenRoute


@dataclass(frozen=True, slots=True)
class Peer:
    """A client.

    Attributes:
        address: its address; None: unknown.
        certificate: the one that it shows; None: none.
    """

    address: IPv4Address | IPv6Address | None = None
    certificate: Certificate | None = None


UNKNOWN = Peer()


def unknown(route: ChosenRoute, peer: Peer) -> str:
    """What has to be known of a client to judge its request, or ""."""
    if route.networks and peer.address is None:
        return f"the rule {route.rule} has networks: give the test an address"
    return ""


def failing(route: ChosenRoute, peer: Peer) -> Iterator[str]:
    """The conditions of a rule by which Envoy refuses a client whose address is known, if it has
    to be.
    """
    rule, address = f"rules.{route.rule}", peer.address
    inside = (address is not None and address in ip_network(each) for each in route.networks)
    if route.networks and not any(inside):
        yield f"{rule}.networks does not hold ({', '.join(route.networks)})"
    if route.certificate is not None:
        for key, values in route.certificate.missing(peer.certificate):
            yield f"{rule}.client_certificate.{key} does not hold ({', '.join(values)})"
