"""What one sees of a request: access log, spans, and the answers that Envoy gives by itself.

No query string goes anywhere: authorization codes and states are in queries.
"""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    MetadataFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import HttpService, HttpUri, RuntimeUInt32, SubstitutionFormatString
from envoy_data_plane.envoy.config.trace.v3 import OpenTelemetryConfig, TracingHttp
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.stream.v3 import StderrAccessLog, StdoutAccessLog
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManagerTracing,
    LocalReplyConfig,
    ResponseMapper,
)
from envoy_data_plane.envoy.type.metadata.v3 import (
    MetadataKey,
    MetadataKeyPathSegment,
    MetadataKind,
    MetadataKindRequest,
)
from envoy_data_plane.envoy.type.tracing.v3 import CustomTag, CustomTagMetadata
from envoy_data_plane.envoy.type.v3 import Percent
from envoy_data_plane.google.protobuf import Struct

from extproc.contract import APPLICATION_KEY, DECISION, LANE, NAMESPACE, REASON
from extproc.envoyconfig.builders import IF_ABSENT, exact, extension, header, seconds, text
from extproc.envoyconfig.clusters import TRACING, traces_url
from extproc.envoyconfig.filters.jwt_authn import metadata
from extproc.envoyconfig.routes import hsts
from extproc.settings import Settings

_REASON = f"%DYNAMIC_METADATA({NAMESPACE}:{REASON})%"
# named as in the processor's own log, where both say the same (docs/logs.md)
FIELDS = {
    "time": "%START_TIME%",
    "event": "access",
    "application": f"%METADATA(ROUTE:{NAMESPACE}:{APPLICATION_KEY})%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%PATH(NQ)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "reason": _REASON,
    "lane": f"%DYNAMIC_METADATA({NAMESPACE}:{LANE})%",
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "upstream": "%UPSTREAM_HOST%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace_id": "%TRACE_ID%",
}
# upstream trouble: Envoy's own text for it names addresses and library errors
_UPSTREAM_TROUBLE = ["LH", "UH", "UT", "LR", "UR", "UF", "UC", "UO", "NC", "URX", "UPE", "DF", "UMSDR"]


def access_log(path: str) -> AccessLog:
    """JSON lines. The standard streams have loggers of their own: in a container not everybody may open /dev/stdout."""
    line = SubstitutionFormatString(json_format=Struct.from_dict(FIELDS))
    if path == "/dev/stdout":
        return _log("stdout", StdoutAccessLog(log_format=line))
    if path == "/dev/stderr":
        return _log("stderr", StderrAccessLog(log_format=line))
    return _log("file", FileAccessLog(path=path, log_format=line))


def _log(name: str, message: FileAccessLog | StdoutAccessLog | StderrAccessLog) -> AccessLog:
    typed = extension(f"envoy.access_loggers.{name}", message)
    return AccessLog(name=typed.name, typed_config=typed.typed_config)


_EXPORT = 10.0  # seconds for a batch of spans, as the SDKs have it: what is late is lost, and no request waits for it


def tracing(settings: Settings) -> HttpConnectionManagerTracing:
    """OpenTelemetry; a client's traceparent goes on. One span a request: a second one for the hop upstream says little more
    and costs every request, sampled or not."""
    receiver = HttpService(http_uri=HttpUri(uri=traces_url(settings), cluster=TRACING, timeout=seconds(_EXPORT)))
    provider = extension(
        "envoy.tracers.opentelemetry", OpenTelemetryConfig(http_service=receiver, service_name="envoy")
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
        metadata=CustomTagMetadata(kind=MetadataKind(request=MetadataKindRequest()), metadata_key=key),
    )


def local_replies(settings: Settings) -> LocalReplyConfig:
    """Envoy's own answers, of which the processor's are a kind: no cache keeps them, each says its request id,
    which is in the access log beside the trace id (Envoy knows none here).

    The first mapper that matches counts. Bodies are replaced only where the processor wrote none.
    """
    headers = [
        header("cache-control", "no-store", IF_ABSENT),
        header("x-request-id", "%REQ(X-REQUEST-ID)%", IF_ABSENT),
        *hsts(settings),
    ]
    plain = SubstitutionFormatString(
        text_format_source=text("Error %RESPONSE_CODE%\nRequest id: %REQ(X-REQUEST-ID)%\n")
    )
    trouble = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=_UPSTREAM_TROUBLE))
    unsaid = AccessLogFilter(and_filter=AndFilter(filters=[_status(500), _absent(REASON), _absent(DECISION)]))
    # no processor, or more than Envoy holds for it: in both cases the same request is worth another try
    away = AccessLogFilter(
        and_filter=AndFilter(filters=[_status(503, ComparisonFilterOp.EQ), _absent(REASON), _absent(DECISION)])
    )
    again = [*headers, header("retry-after", "2", IF_ABSENT)]
    # its flag, RL, comes too late for a mapper
    limited = AccessLogFilter(and_filter=AndFilter(filters=[_status(429, ComparisonFilterOp.EQ), _absent(REASON)]))
    return LocalReplyConfig(
        mappers=[
            ResponseMapper(filter=away, body_format_override=plain, headers_to_add=again),
            ResponseMapper(filter=trouble, body_format_override=plain, headers_to_add=headers),
            ResponseMapper(filter=unsaid, body_format_override=plain, headers_to_add=headers),
            ResponseMapper(filter=limited, body_format_override=plain, headers_to_add=headers),
            ResponseMapper(filter=_status(100), headers_to_add=headers),
        ]
    )


def _status(number: int, op: ComparisonFilterOp = ComparisonFilterOp.GE) -> AccessLogFilter:
    value = RuntimeUInt32(default_value=number, runtime_key=f"extproc.status_{number}")
    return AccessLogFilter(status_code_filter=StatusCodeFilter(comparison=ComparisonFilter(op=op, value=value)))


def _absent(key: str) -> AccessLogFilter:
    """That the processor wrote no such key (the filter knows no `invert`; a value of ours is never empty)."""
    never = metadata(key, exact(""))
    return AccessLogFilter(metadata_filter=MetadataFilter(matcher=never, match_if_key_not_found=True))
