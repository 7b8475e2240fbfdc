"""`decide`: the ext_proc filter, by which Envoy calls the processor.

It sends request headers only, and fails closed: every failure is a 503, and so is an answer that
Envoy cannot carry out as a whole.
"""

from collections.abc import Iterator

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
from extproc.core.http import AUTHORIZATION
from extproc.envoyconfig.builders import exact, pack, seconds
from extproc.envoyconfig.clusters import PROCESSOR
from extproc.settings import Settings

# Seconds from the processor's own deadline to Envoy's. The processor's must come first, because it
# ends in an answer for the user.
_SLACK = 10


def processor(settings: Settings) -> ExternalProcessor:
    """The filter's configuration."""
    timeouts = settings.timeouts
    service = GrpcServiceEnvoyGrpc(cluster_name=PROCESSOR, skip_envoy_headers=True)
    return ExternalProcessor(
        grpc_service=GrpcService(envoy_grpc=service, retry_policy=_retries()),
        failure_mode_allow=False,
        allow_mode_override=False,
        processing_mode=processing_mode(),
        message_timeout=seconds(timeouts.message),
        max_message_timeout=seconds(max(timeouts.longest_held, timeouts.message) + _SLACK),
        # Envoy chose the route by the path, so no answer may change the path afterwards.
        mutation_rules=HeaderMutationRules(
            disallow_system=True,
            disallow_is_error=True,
            allow_expression=RegexMatcher(regex=STREAM_DURATION),
        ),
        forward_rules=HeaderForwardingRules(
            allowed_headers=ListStringMatcher(patterns=[exact(name) for name in _read(settings)])
        ),
        metadata_options=MetadataOptions(
            receiving_namespaces=MetadataOptionsMetadataNamespaces(untyped=[NAMESPACE])
        ),
        status_on_error=HttpStatus(code=StatusCode.ServiceUnavailable),
    )


def _read(settings: Settings) -> Iterator[str]:
    """The headers that the processor reads. Without rules for API callers it gets no Authorization,
    which may hold a secret between a client and an application.
    """
    bearer = any(application.accepts_bearer for application in settings.applications.values())
    return (name for name in FORWARDED if bearer or name != AUTHORIZATION)


def processing_mode(
    body: ProcessingModeBodySendMode = ProcessingModeBodySendMode.NONE,
) -> ProcessingMode:
    """The phases that Envoy sends. The response is not among them, so that a download or a
    WebSocket holds no stream of the processor's.
    """
    return ProcessingMode(
        request_header_mode=ProcessingModeHeaderSendMode.SEND,
        response_header_mode=ProcessingModeHeaderSendMode.SKIP,
        request_body_mode=body,
    )


def _retries() -> RetryPolicy:
    """Retries only requests that reached no processor: `reset` would repeat a callback, with its
    single-use code.
    """
    another_host = RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts",
        typed_config=pack(PreviousHostsPredicate()),
    )
    return RetryPolicy(
        retry_on="connect-failure,refused-stream",
        num_retries=2,
        retry_back_off=BackoffStrategy(base_interval=seconds(0.05), max_interval=seconds(0.5)),
        retry_host_predicate=[another_host],
        # The balancer prefers the endpoint with the fewest requests, which is a dead one: of two,
        # it picks that three times in four.
        host_selection_retry_max_attempts=50,
    )
