"""Envoy's own answers: the page of an error that no application sent, and headers of all of them.

The processor's answers are local replies to Envoy, too.
"""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    MetadataFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import (
    HeaderValueOption,
    RuntimeUInt32,
    SubstitutionFormatString,
)
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)

from extproc.contract import DECISION, REASON
from extproc.envoyconfig.builders import IF_ABSENT, exact, header, text
from extproc.envoyconfig.filters.rbac import metadata
from extproc.envoyconfig.virtual_hosts import hsts
from extproc.settings import Settings

# Response flags of trouble with an upstream. Envoy's own text for it names addresses and library
# errors, which are not for users.
_UPSTREAM_TROUBLE = [
    "LH",
    "UH",
    "UT",
    "LR",
    "UR",
    "UF",
    "UC",
    "UO",
    "NC",
    "URX",
    "UPE",
    "DF",
    "UMSDR",
]


def local_replies(settings: Settings) -> LocalReplyConfig:
    """The mappers of local replies; the first that matches decides.

    No cache may keep a local reply, and each has its request id, by which it is found in the access
    log (Envoy does not know the trace id here). A body is replaced only where the processor wrote
    none.
    """
    headers = [
        header("x-request-id", "%REQ(X-REQUEST-ID)%", IF_ABSENT),
        *hsts(settings),
    ]
    # The processor is down, or Envoy's limit for it is reached: the client should try again.
    unavailable = _mapper(
        _all(_status(503, ComparisonFilterOp.EQ), _absent(REASON), _absent(DECISION)),
        [*headers, header("retry-after", "2", IF_ABSENT)],
    )
    upstream_trouble = AccessLogFilter(
        response_flag_filter=ResponseFlagFilter(flags=_UPSTREAM_TROUBLE)
    )
    # The flag of a limited request, RL, is set too late for a mapper.
    limited = _all(_status(429, ComparisonFilterOp.EQ), _absent(REASON))
    return LocalReplyConfig(
        mappers=[
            unavailable,
            _mapper(upstream_trouble, headers),
            _mapper(_all(_status(500), _absent(REASON), _absent(DECISION)), headers),
            _mapper(limited, headers),
            ResponseMapper(
                filter=_status(100),
                headers_to_add=[*headers, header("cache-control", "no-store", IF_ABSENT)],
            ),
        ]
    )


def _mapper(condition: AccessLogFilter, headers: list[HeaderValueOption]) -> ResponseMapper:
    """Replaces the body with the status and the request id, and the Cache-Control with `no-store`:
    the route may have written that of a page of the application's already.
    """
    body = text("Error %RESPONSE_CODE%\nRequest id: %REQ(X-REQUEST-ID)%\n")
    return ResponseMapper(
        filter=condition,
        body_format_override=SubstitutionFormatString(text_format_source=body),
        headers_to_add=[*headers, header("cache-control", "no-store")],
    )


def _all(*filters: AccessLogFilter) -> AccessLogFilter:
    return AccessLogFilter(and_filter=AndFilter(filters=list(filters)))


def _status(number: int, op: ComparisonFilterOp = ComparisonFilterOp.GE) -> AccessLogFilter:
    value = RuntimeUInt32(default_value=number, runtime_key=f"extproc.status_{number}")
    return AccessLogFilter(
        status_code_filter=StatusCodeFilter(comparison=ComparisonFilter(op=op, value=value))
    )


def _absent(key: str) -> AccessLogFilter:
    """Matches where the processor did not write the key.

    The filter has no `invert`, so it compares with a value that the processor never writes, the
    empty one, and matches if the key is not found.
    """
    never = metadata(key, exact(""))
    return AccessLogFilter(
        metadata_filter=MetadataFilter(matcher=never, match_if_key_not_found=True)
    )
