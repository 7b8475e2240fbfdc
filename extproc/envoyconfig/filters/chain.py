"""The HTTP filters, in order; their names are the keys of per-route configuration.

0. clean, before any of them and before the route is chosen: nothing that a client sent is identity.
1. cookies: ours leave the Cookie header for one of their own; the others stay as they were, byte for byte.
2. assertion: a valid assertion cookie becomes identity headers, without us.
3. limit: how often one address may ask what 4 must decide (rate_limit.py).
4. decide: the processor, skipped when 2 wrote the subject header.
5. gate: passes a verified assertion or the processor's word, and nothing else: a stream that ended in silence, a filter
   that an operator loosened, a matcher that got lost all end here.
"""

import betterproto2
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation
from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRemoveOnMatch, HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import (
    BackoffStrategy,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    RetryPolicy,
    RetryPolicyRetryHostPredicate,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExternalProcessor,
    HeaderForwardingRules,
    MetadataOptions,
    MetadataOptionsMetadataNamespaces,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import HeaderMutation
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate
from envoy_data_plane.envoy.type.matcher.v3 import ListStringMatcher, RegexMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode

from extproc.contract import COOKIES as HANDED_ON
from extproc.contract import NAMESPACE, STREAM_DURATION
from extproc.envoyconfig import regexes
from extproc.envoyconfig.builders import exact, extension, pack, regex, seconds
from extproc.envoyconfig.clusters import PROCESSOR
from extproc.envoyconfig.filters.jwt_authn import assertion, fast_path, gate, unless_signed_in
from extproc.envoyconfig.filters.local_ratelimit import limit, limited
from extproc.envoyconfig.filters.lua_cookies import cookies
from extproc.ext_proc.codec import FORWARDED
from extproc.settings import Settings

COOKIES, ASSERTION, LIMIT, DECIDE, GATE, ROUTER = "cookies", "assertion", "limit", "decide", "gate", "router"
_SLACK = 10  # seconds between our own deadline and Envoy's: ours must come first, it has an answer


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
    forgeable = HeaderMutationRemoveOnMatch(key_matcher=regex(regexes.forgeable(settings.identity.header_prefix)))
    mutations = [Mutation(remove_on_match=forgeable), Mutation(remove=HANDED_ON)]
    return [extension("clean", HeaderMutation(mutations=mutations))]


def processor(settings: Settings) -> ExternalProcessor:
    """ext_proc: request headers only; every failure is a 503, and so is an answer that Envoy cannot carry out whole."""
    timeouts = settings.timeouts
    service = GrpcServiceEnvoyGrpc(cluster_name=PROCESSOR, skip_envoy_headers=True)
    return ExternalProcessor(
        grpc_service=GrpcService(envoy_grpc=service, retry_policy=_retries()),
        failure_mode_allow=False,
        allow_mode_override=False,
        processing_mode=processing_mode(),
        message_timeout=seconds(timeouts.message),
        max_message_timeout=seconds(max(timeouts.longest_held, timeouts.message) + _SLACK),
        # the route was chosen by the path: nobody changes that afterwards
        mutation_rules=HeaderMutationRules(
            disallow_system=True, disallow_is_error=True, allow_expression=RegexMatcher(regex=STREAM_DURATION)
        ),
        forward_rules=HeaderForwardingRules(allowed_headers=ListStringMatcher(patterns=[exact(h) for h in FORWARDED])),
        metadata_options=MetadataOptions(receiving_namespaces=MetadataOptionsMetadataNamespaces(untyped=[NAMESPACE])),
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
    )


def processing_mode(body: ProcessingModeBodySendMode = ProcessingModeBodySendMode.NONE) -> ProcessingMode:
    """No response phase: a download or a WebSocket holds no stream."""
    return ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_header_mode=ProcessingModeHeaderSendMode.SKIP,
        request_body_mode=body,
    )


def _retries() -> RetryPolicy:
    """Only what never reached a processor is tried again: `reset` would replay a callback, with its single-use code."""
    other = RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts", typed_config=pack(PreviousHostsPredicate())
    )
    return RetryPolicy(
        retry_on="connect-failure,refused-stream",
        num_retries=2,
        retry_back_off=BackoffStrategy(base_interval=seconds(0.05), max_interval=seconds(0.5)),
        retry_host_predicate=[other],
        # the balancer prefers who has least to do, and that is the dead one: of two it is picked three times in four
        host_selection_retry_max_attempts=50,
    )
