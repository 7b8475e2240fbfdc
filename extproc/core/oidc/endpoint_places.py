"""EndpointPlaces: where the endpoints that a provider's metadata names may be.

The metadata is the provider's own text, and the processor and browsers follow it. So it must not
lead to a place that the provider itself could not reach: this machine's loopback with the admin
listeners of Envoy and of the processor, or the link-local address at which machines of a cloud find
their credentials.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from extproc.addresses import Address, is_loopback
from extproc.core.http import origin
from extproc.core.oidc.urls import url_fault

_PORTS = {"http": 80, "https": 443}
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared, not listened on
# names of the services by which machines of a cloud get their credentials, and such a service that
# has no link-local address
_METADATA_SERVICES = (
    "metadata",
    "metadata.google.internal",
    "instance-data",
    "instance-data.ec2.internal",
    "100.100.100.200",
    "fd00:ec2::254",
)


@dataclass(frozen=True, slots=True)
class EndpointPlaces:
    """Where a provider's endpoints may be. The hosts of issuer and backchannel_url always may.

    Attributes:
        issuer: the issuer of the settings.
        backchannel_url: the base of the URLs that the processor calls, if it is another.
        hosts: the only further hosts; empty: any host.
        listeners: addresses at which Envoy's admin and the processor listen.
    """

    issuer: str
    backchannel_url: str | None = None
    hosts: tuple[str, ...] = ()
    listeners: tuple[Address, ...] = ()

    def fault(  # noqa: PLR0911 - one for each fault
        self, url: str, *, browser: bool
    ) -> str | None:
        """Describe why an endpoint must not be there, in words that follow its name.

        Args:
            url: the URL of the endpoint, which url_fault() has accepted.
            browser: whether the browser calls it, and not the processor.
        """
        if self.backchannel_url is not None and url_fault(self.backchannel_url) is not None:
            return "has to be below backchannel_url, which is no URL"
        parts = urlsplit(url)
        host = _plain(parts.hostname or "")
        port = parts.port or _PORTS[parts.scheme]
        known = [self.issuer] if browser else [self.issuer, self.backchannel_url or self.issuer]
        own_hosts = [_plain(urlsplit(base).hostname or "") for base in known]
        if any(_same_place(address, host, port) for address in self.listeners):
            return "leads to a listener of the processor, or to Envoy's admin"
        here = _is_here(host)
        if here and not any(_is_here(own) for own in own_hosts):
            return "is on loopback, and neither issuer nor backchannel_url is"
        if host not in own_hosts and _is_link_local(host):
            return "has an address at which machines find the credentials of their cloud"
        below = self.backchannel_url is not None and origin(url) == origin(self.backchannel_url)
        if parts.scheme == "http" and not here and (browser or not below):
            return "is neither https nor http on loopback (or below backchannel_url)"
        if self.hosts and host not in (*own_hosts, *self.hosts):
            return "is on a host that endpoint_hosts does not name"
        return None


def _plain(host: str) -> str:
    """A host in lower case, without the dot of an absolute name, and an IPv4 address as such."""
    host = host.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _is_here(host: str) -> bool:
    """Whether a host is this machine; a connection to every address leads there as well."""
    return is_loopback(host) or host in _EVERY_ADDRESS


def _is_link_local(host: str) -> bool:
    if host in _METADATA_SERVICES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_link_local or address.is_multicast


def _same_place(address: Address, host: str, port: int) -> bool:
    """Whether a listener has this host and port."""
    if address.path is not None or address.port != port:
        return False
    listening = _plain(address.host)
    return listening == host or (_is_here(listening) and _is_here(host))
