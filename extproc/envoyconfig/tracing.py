"""Envoy's spans: where they go, and the tags they carry."""

from envoy_data_plane.envoy.config.core.v3 import HttpService, HttpUri
from envoy_data_plane.envoy.config.trace.v3 import OpenTelemetryConfig, TracingHttp
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerTracing,
)
from envoy_data_plane.envoy.type.metadata.v3 import (
    MetadataKey,
    MetadataKeyPathSegment,
    MetadataKind,
    MetadataKindRequest,
)
from envoy_data_plane.envoy.type.tracing.v3 import CustomTag, CustomTagMetadata
from envoy_data_plane.envoy.type.v3 import Percent

from extproc.contract import NAMESPACE, REASON
from extproc.envoyconfig.access_log import _EXPORT
from extproc.envoyconfig.builders import extension, seconds
from extproc.envoyconfig.clusters import TRACING, traces_url
from extproc.settings import Settings


def tracing(settings: Settings) -> HttpConnectionManagerTracing:
    """OpenTelemetry; a client's traceparent goes on. One span a request: a second one for the hop
    upstream says little more and costs every request, sampled or not.
    """
    receiver = HttpService(
        http_uri=HttpUri(uri=traces_url(settings), cluster=TRACING, timeout=seconds(_EXPORT))
    )
    provider = extension(
        "envoy.tracers.opentelemetry",
        OpenTelemetryConfig(http_service=receiver, service_name="envoy"),
    )
    return HttpConnectionManagerTracing(
        random_sampling=Percent(value=settings.tracing.sample * 100),
        max_path_tag_length=0,  # the url tag would have the query
        custom_tags=[_reason_tag()],
        provider=TracingHttp(name=provider.name, typed_config=provider.typed_config),
    )


def _reason_tag() -> CustomTag:
    """A span carries the route's name as its own, and why the processor answered as it did."""
    key = MetadataKey(key=NAMESPACE, path=[MetadataKeyPathSegment(key=REASON)])
    return CustomTag(
        tag="extproc.reason",
        metadata=CustomTagMetadata(
            kind=MetadataKind(request=MetadataKindRequest()), metadata_key=key
        ),
    )
