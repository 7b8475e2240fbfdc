"""The HTTP filters, in order; their names are the keys of per-route configuration.

0. clean, before any of them and before the route is chosen: nothing that a client sent is identity.
1. cookies: ours leave the Cookie header for one of their own; the others stay as they were, byte
   for byte.
2. assertion: a valid assertion cookie becomes identity headers, without us.
3. limit: how often one address may ask what 4 must decide (rate_limit.py).
4. decide: the processor, skipped when 2 wrote the subject header.
5. gate: passes a verified assertion or the processor's word, and nothing else: a stream that ended
   in silence, a filter that an operator loosened, a matcher that got lost all end here.
"""

import betterproto2
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRemoveOnMatch
from envoy_data_plane.envoy.config.core.v3 import (
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
    HeaderMutation,
)

from extproc.contract import COOKIES as HANDED_ON
from extproc.envoyconfig import regexes
from extproc.envoyconfig.builders import extension, pack, regex
from extproc.envoyconfig.filters.ext_proc import processor
from extproc.envoyconfig.filters.jwt_authn import assertion, fast_path
from extproc.envoyconfig.filters.local_ratelimit import limit, limited
from extproc.envoyconfig.filters.lua_cookies import cookies
from extproc.envoyconfig.filters.matcher import unless_signed_in
from extproc.envoyconfig.filters.rbac import gate
from extproc.settings import Settings

COOKIES, ASSERTION, LIMIT, DECIDE, GATE, ROUTER = (
    "cookies",
    "assertion",
    "limit",
    "decide",
    "gate",
    "router",
)


def filters(settings: Settings) -> list[HttpFilter]:
    chain: list[tuple[str, betterproto2.Message]] = [(COOKIES, cookies(settings))]
    if fast_path(settings):
        chain.append((ASSERTION, assertion(settings)))
    if limited(settings):
        chain.append((LIMIT, limit(settings)))
    decide = processor(settings)
    chain.append((DECIDE, unless_signed_in(settings, decide) if fast_path(settings) else decide))
    chain += [(GATE, gate(settings)), (ROUTER, Router(suppress_envoy_headers=True))]
    return [HttpFilter(name=name, typed_config=pack(message)) for name, message in chain]


def clean(settings: Settings) -> list[TypedExtensionConfig]:
    """What a client may not send: identity headers in any spelling, and the header of `cookies`."""
    forgeable = HeaderMutationRemoveOnMatch(
        key_matcher=regex(regexes.forgeable(settings.identity.header_prefix))
    )
    mutations = [Mutation(remove_on_match=forgeable), Mutation(remove=HANDED_ON)]
    return [extension("clean", HeaderMutation(mutations=mutations))]
