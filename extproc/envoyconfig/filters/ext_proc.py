"""The ext_proc filter: which phases Envoy sends, how it retries, and the deadlines it keeps."""

from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutationRules
from envoy_data_plane.envoy.config.core.v3 import (
    BackoffStrategy,
    GrpcService,
    GrpcServiceEnvoyGrpc,
    RetryPolicy,
    RetryPolicyRetryHostPredicate,
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
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate
from envoy_data_plane.envoy.type.matcher.v3 import ListStringMatcher, RegexMatcher
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode

from extproc.contract import FORWARDED, NAMESPACE, STREAM_DURATION
from extproc.envoyconfig.builders import exact, pack, seconds
from extproc.envoyconfig.clusters import PROCESSOR
from extproc.settings import Settings

_SLACK = 10  # seconds between our own deadline and Envoy's: ours must come first, it has an answer


def processor(settings: Settings) -> ExternalProcessor:
    """ext_proc: request headers only; every failure is a 503, and so is an answer that Envoy cannot
    carry out whole.
    """
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
            disallow_system=True,
            disallow_is_error=True,
            allow_expression=RegexMatcher(regex=STREAM_DURATION),
        ),
        forward_rules=HeaderForwardingRules(
            allowed_headers=ListStringMatcher(patterns=[exact(h) for h in FORWARDED])
        ),
        metadata_options=MetadataOptions(
            receiving_namespaces=MetadataOptionsMetadataNamespaces(untyped=[NAMESPACE])
        ),
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
    )


def processing_mode(
    body: ProcessingModeBodySendMode = ProcessingModeBodySendMode.NONE,
) -> ProcessingMode:
    """No response phase: a download or a WebSocket holds no stream."""
    return ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_header_mode=ProcessingModeHeaderSendMode.SKIP,
        request_body_mode=body,
    )


def _retries() -> RetryPolicy:
    """Only what never reached a processor is tried again: `reset` would replay a callback, with its
    single-use code.
    """
    other = RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts",
        typed_config=pack(PreviousHostsPredicate()),
    )
    return RetryPolicy(
        retry_on="connect-failure,refused-stream",
        num_retries=2,
        retry_back_off=BackoffStrategy(base_interval=seconds(0.05), max_interval=seconds(0.5)),
        retry_host_predicate=[other],
        # the balancer prefers who has least to do, and that is the dead one: of two it is picked
        # three times in four
        host_selection_retry_max_attempts=50,
    )
