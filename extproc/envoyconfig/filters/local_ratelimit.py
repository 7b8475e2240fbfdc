"""limit: how many requests a second one client address may make that Envoy cannot decide by itself.

It stands before `decide` and is skipped when that is, by the same matcher: a signed-in request
costs nothing here and takes no token, while a cookie of garbage does not get around it. Routes
without a login turn it off. Each address has a token bucket of its own, made at its first request;
IPv6 has one for each /64 besides, since a host has a whole one to itself.

Envoy takes a token from every bucket that a request has a descriptor for, and a descriptor with a
value goes before one without: so masking all of IPv4 to one value, and giving that value and ::/64
(IPv4 written as ::ffff:1.2.3.4, as dual-stack proxies do) buckets that are never empty, leaves the
masked ones to IPv6.
"""

import ipaddress
from collections.abc import Sequence

from envoy_data_plane.envoy.config.core.v3 import CidrRange, RuntimeFractionalPercent
from envoy_data_plane.envoy.config.route.v3 import (
    FilterConfig,
    RateLimit,
    RateLimitAction,
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
from extproc.envoyconfig.filters.jwt_authn import fast_path, protected
from extproc.envoyconfig.filters.matcher import signed_in, unless, xds
from extproc.settings import Settings

ADDRESSES = 20_000  # buckets of each kind; beyond them the one that was idle longest goes
_V6_PREFIX = 64
_NEVER_EMPTY = TokenBucket(
    max_tokens=2**32 - 1, tokens_per_fill=2**32 - 1, fill_interval=seconds(1)
)
_LOOPBACK = ("127.0.0.0/8", "::1/128")
_ADDRESS, _MASKED = "remote_address", "masked_remote_address"  # descriptor keys, Envoy's


def limited(settings: Settings) -> bool:
    return settings.gateway.rate_limit.per_second > 0 and bool(protected(settings))


def limit(settings: Settings) -> ExtensionWithMatcher:
    """The limit, but for requests that the processor is not asked about and for addresses that are
    exempt.
    """
    skipped = _from(exempt(settings))
    if fast_path(settings):
        either = MatcherMatcherListPredicatePredicateList(predicate=[signed_in(settings), skipped])
        skipped = MatcherMatcherListPredicate(or_matcher=either)
    return unless(skipped, extension("envoy.filters.http.local_ratelimit", _buckets(settings)))


def unlimited() -> Any:
    """What a route says to which the limit does not apply."""
    return pack(FilterConfig(disabled=True))


def exempt(settings: Settings) -> tuple[str, ...]:
    """Networks without a limit: those of the settings, loopback and the processor, whose own calls
    may come this way.
    """
    own = (_network(place.host) for place in processors(settings) if not is_loopback(place.host))
    listed = (str(network) for network in settings.gateway.rate_limit.exempt)
    return tuple(dict.fromkeys([*_LOOPBACK, *(network for network in own if network), *listed]))


def _network(host: str) -> str | None:
    """A host that is an address, as a network of one; None for a name, and for a unix socket's
    none.
    """
    try:
        return str(ipaddress.ip_network(host))
    except ValueError:
        return None


def _buckets(settings: Settings) -> LocalRateLimit:
    figures = settings.gateway.rate_limit
    bucket = TokenBucket(
        max_tokens=figures.burst, tokens_per_fill=figures.per_second, fill_interval=seconds(1)
    )
    always = RuntimeFractionalPercent(default_value=FractionalPercent(numerator=100))
    masked = RateLimitActionMaskedRemoteAddress(v4_prefix_mask_len=0, v6_prefix_mask_len=_V6_PREFIX)
    return LocalRateLimit(
        stat_prefix="limit",
        filter_enabled=always,
        filter_enforced=always,
        token_bucket=_NEVER_EMPTY,  # of what has no descriptor
        always_consume_default_token_bucket=False,
        rate_limits=[
            RateLimit(actions=[RateLimitAction(remote_address=RateLimitActionRemoteAddress())]),
            RateLimit(actions=[RateLimitAction(masked_remote_address=masked)]),
        ],
        descriptors=[
            _descriptor(_ADDRESS, "", bucket),
            _descriptor(_MASKED, "", bucket),
            _descriptor(_MASKED, "0.0.0.0/0", _NEVER_EMPTY),
            _descriptor(_MASKED, f"::/{_V6_PREFIX}", _NEVER_EMPTY),
        ],
        max_dynamic_descriptors=ADDRESSES,
        response_headers_to_add=[header("retry-after", "1")],
        rate_limited_as_resource_exhausted=True,  # to gRPC clients
    )


def _descriptor(key: str, value: str, bucket: TokenBucket) -> LocalRateLimitDescriptor:
    """Without a value: one bucket for each value that comes."""
    return LocalRateLimitDescriptor(
        entries=[RateLimitDescriptorEntry(key=key, value=value)], token_bucket=bucket
    )


def _from(networks: Sequence[str]) -> MatcherMatcherListPredicate:
    """That the client's address, the one after trusted_hops, is in one of these networks."""
    parsed = [ipaddress.ip_network(network) for network in networks]
    ranges = [
        CidrRange(address_prefix=str(each.network_address), prefix_len=each.prefixlen)
        for each in parsed
    ]
    return MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=xds("address", SourceIpInput()),
            custom_match=xds("networks", Ip(stat_prefix="limit", cidr_ranges=ranges)),
        )
    )
