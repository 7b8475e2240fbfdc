"""Envoy's spans: where they are sent, and the tags that they carry."""

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
from extproc.envoyconfig.builders import extension, seconds
from extproc.envoyconfig.clusters import TRACING, traces_url
from extproc.settings import Settings

# Seconds for a batch of spans, as in OpenTelemetry's SDKs. No request waits for it: a batch that
# takes longer is lost.
_EXPORT = 10.0


def tracing(settings: Settings) -> HttpConnectionManagerTracing:
    """OpenTelemetry tracing, which continues a client's traceparent.

    Each request has one span: a second one for the hop upstream says little more, and costs every
    request, sampled or not.
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
        # The tag url would have the query.
        max_path_tag_length=0,
        custom_tags=[_reason_tag()],
        provider=TracingHttp(name=provider.name, typed_config=provider.typed_config),
    )


def _reason_tag() -> CustomTag:
    """The reason of the processor's answer; the span's name is the name of the route."""
    key = MetadataKey(key=NAMESPACE, path=[MetadataKeyPathSegment(key=REASON)])
    return CustomTag(
        tag="extproc.reason",
        metadata=CustomTagMetadata(
            kind=MetadataKind(request=MetadataKindRequest()), metadata_key=key
        ),
    )
