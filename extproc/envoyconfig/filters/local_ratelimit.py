"""`limit`: the local_ratelimit filter, which limits how often one address may call the processor.

It comes before `decide`, and the same matcher skips both: a request with a verified assertion takes
no token, while a cookie of garbage does not avoid the limit. Routes without a login turn it off.
Each address has a token bucket of its own, made at its first request. IPv6 has another for each
/64, because one host usually has a whole /64. Networks have larger buckets, because one customer
may have all of a /56 or /48 of IPv6, or many addresses of a /24 of IPv4.

Envoy takes a token from every bucket that a request has a descriptor for, and prefers a descriptor
with a value. So IPv4 is masked to one value where only IPv6 is limited, and that value and the
network of ::ffff:1.2.3.4 (IPv4, as dual-stack proxies write it) have buckets that are never empty.
"""

import ipaddress
from collections.abc import Iterator, Sequence

from envoy_data_plane.envoy.config.core.v3 import CidrRange, RuntimeFractionalPercent
from envoy_data_plane.envoy.config.route.v3 import (
    FilterConfig,
    RateLimit,
    RateLimitAction,
    RateLimitActionGenericKey,
    RateLimitActionMaskedRemoteAddress,
    RateLimitActionRemoteAddress,
)
from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.common.ratelimit.v3 import (
    LocalRateLimitDescriptor,
    RateLimitDescriptorEntry,
)
from envoy_data_plane.envoy.extensions.filters.http.local_ratelimit.v3 import LocalRateLimit
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import SourceIpInput
from envoy_data_plane.envoy.extensions.matching.input_matchers.ip.v3 import Ip
from envoy_data_plane.envoy.type.v3 import FractionalPercent, TokenBucket
from envoy_data_plane.google.protobuf import Any
from envoy_data_plane.xds.type.matcher.v3 import (
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicatePredicateList,
    MatcherMatcherListPredicateSinglePredicate,
)

from extproc.addresses import is_loopback
from extproc.envoyconfig.builders import extension, header, pack, seconds
from extproc.envoyconfig.clusters import processors
from extproc.envoyconfig.filters.jwt_authn import fast_path
from extproc.envoyconfig.filters.matcher import signed_in, unless, xds
from extproc.settings import Settings

# Buckets of each kind; for more, Envoy drops the one that was idle longest.
ADDRESSES = 20_000
# The networks that share a bucket: bits of IPv4 (0: not limited), bits of IPv6, and how many times
# `network_factor` their bucket is.
_NETWORKS = ((24, 56, 1), (0, 48, 4))
_HOST_BITS = 64
_NEVER_EMPTY = TokenBucket(
    max_tokens=2**32 - 1, tokens_per_fill=2**32 - 1, fill_interval=seconds(1)
)
_LOOPBACK = ("127.0.0.0/8", "::1/128")
# Envoy's names of the descriptors.
_ADDRESS = "remote_address"
_MASKED = "masked_remote_address"
_BITS = "bits"


def limited(settings: Settings) -> bool:
    """Whether there is a limit: the settings have one, and any application has a login."""
    return settings.gateway.rate_limit.per_second > 0 and bool(settings.protected)


def limit(settings: Settings) -> ExtensionWithMatcher:
    """The filter, skipped for requests with a verified assertion and for exempt addresses."""
    skipped = _from(exempt(settings))
    if fast_path(settings):
        either = MatcherMatcherListPredicatePredicateList(predicate=[signed_in(), skipped])
        skipped = MatcherMatcherListPredicate(or_matcher=either)
    return unless(skipped, extension("envoy.filters.http.local_ratelimit", _buckets(settings)))


def unlimited() -> Any:
    """The configuration of a route that has no limit."""
    return pack(FilterConfig(disabled=True))


def exempt(settings: Settings) -> tuple[str, ...]:
    """Networks without a limit: those of the settings, loopback, and the processor's machines.

    The processor's calls of a provider may pass this gateway.
    """
    own = [_network(each.host) for each in processors(settings) if not is_loopback(each.host)]
    listed = [str(network) for network in settings.gateway.rate_limit.exempt]
    networks = [*_LOOPBACK, *(network for network in own if network is not None), *listed]
    return tuple(dict.fromkeys(networks))


def _network(host: str) -> str | None:
    """A host as a network of one address; None for a name, and for the host of a unix socket."""
    try:
        return str(ipaddress.ip_network(host))
    except ValueError:
        return None


def _buckets(settings: Settings) -> LocalRateLimit:
    always = RuntimeFractionalPercent(default_value=FractionalPercent(numerator=100))
    bucket = _bucket(settings, 1)
    limits = [
        RateLimit(actions=[RateLimitAction(remote_address=RateLimitActionRemoteAddress())]),
        _masked(0, _HOST_BITS),
    ]
    descriptors = [_descriptor(bucket, (_ADDRESS, "")), *_of_network(bucket, 0, _HOST_BITS)]
    factor = settings.gateway.rate_limit.network_factor
    for v4_bits, v6_bits, times in _NETWORKS if factor else ():
        limits.append(_masked(v4_bits, v6_bits))
        descriptors += _of_network(_bucket(settings, factor * times), v4_bits, v6_bits)
    return LocalRateLimit(
        stat_prefix="limit",
        filter_enabled=always,
        filter_enforced=always,
        # For requests without a descriptor.
        token_bucket=_NEVER_EMPTY,
        always_consume_default_token_bucket=False,
        rate_limits=limits,
        descriptors=descriptors,
        max_dynamic_descriptors=ADDRESSES,
        response_headers_to_add=[header("retry-after", "1")],
        # For gRPC clients.
        rate_limited_as_resource_exhausted=True,
    )


def _bucket(settings: Settings, times: int) -> TokenBucket:
    figures = settings.gateway.rate_limit
    return TokenBucket(
        max_tokens=figures.burst * times,
        tokens_per_fill=figures.per_second * times,
        fill_interval=seconds(1),
    )


def _masked(v4_bits: int, v6_bits: int) -> RateLimit:
    """Makes a descriptor of a request's network, and of the bits that tell the kinds apart."""
    kind = RateLimitActionGenericKey(descriptor_key=_BITS, descriptor_value=str(v6_bits))
    masked = RateLimitActionMaskedRemoteAddress(
        v4_prefix_mask_len=v4_bits, v6_prefix_mask_len=v6_bits
    )
    return RateLimit(
        actions=[
            RateLimitAction(generic_key=kind),
            RateLimitAction(masked_remote_address=masked),
        ]
    )


def _of_network(
    bucket: TokenBucket, v4_bits: int, v6_bits: int
) -> Iterator[LocalRateLimitDescriptor]:
    """The buckets of networks of one kind: IPv4 has one only where it has bits."""
    kind = (_BITS, str(v6_bits))
    yield _descriptor(bucket, kind, (_MASKED, ""))
    yield _descriptor(_NEVER_EMPTY, kind, (_MASKED, f"::/{v6_bits}"))
    if not v4_bits:
        yield _descriptor(_NEVER_EMPTY, kind, (_MASKED, "0.0.0.0/0"))


def _descriptor(bucket: TokenBucket, *entries: tuple[str, str]) -> LocalRateLimitDescriptor:
    """A bucket for requests with these entries; '' as a value: a bucket for each value."""
    return LocalRateLimitDescriptor(
        entries=[RateLimitDescriptorEntry(key=key, value=value) for key, value in entries],
        token_bucket=bucket,
    )


def _from(networks: Sequence[str]) -> MatcherMatcherListPredicate:
    """Matches requests of clients in these networks, by the address that trusted_hops leads to."""
    ranges = [
        CidrRange(address_prefix=str(network.network_address), prefix_len=network.prefixlen)
        for network in map(ipaddress.ip_network, networks)
    ]
    return MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=xds("address", SourceIpInput()),
            custom_match=xds("networks", Ip(stat_prefix="limit", cidr_ranges=ranges)),
        )
    )
