"""`networks`: an RBAC filter that admits only clients of the networks that a rule names.

It refuses nothing by itself; a route of such a rule has the networks. It stands before `assertion`,
so a verified assertion does not help a client from elsewhere, and it compares the address that
Envoy took for the client's by gateway.trusted_hops.
"""

from ipaddress import IPv4Network, IPv6Network

from envoy_data_plane.envoy.config.core.v3 import CidrRange
from envoy_data_plane.envoy.config.rbac.v3 import Permission, Policy, Principal
from envoy_data_plane.envoy.config.rbac.v3 import Rbac as Rules
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute

from extproc.settings import RuleSettings, Settings


def asks_networks(settings: Settings) -> bool:
    """Whether a rule of any application names networks."""
    return any(rule.networks for each in settings.applications.values() for rule in each.rules)


def networks() -> Rbac:
    """The filter of routes without networks, which refuses nothing."""
    return Rbac()


def admitted(rule: RuleSettings) -> RbacPerRoute:
    """The filter of the routes of a rule that names networks."""
    principals = [Principal(remote_ip=_range(network)) for network in rule.networks]
    policy = Policy(permissions=[Permission(any=True)], principals=principals)
    return RbacPerRoute(rbac=Rbac(rules=Rules(policies={f"networks of {rule.name}": policy})))


def _range(network: IPv4Network | IPv6Network) -> CidrRange:
    return CidrRange(address_prefix=str(network.network_address), prefix_len=network.prefixlen)
