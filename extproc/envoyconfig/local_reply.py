"""Envoy's own answers: the page and reason of an error that no application sent."""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    MetadataFilter,
    ResponseFlagFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import RuntimeUInt32, SubstitutionFormatString
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    LocalReplyConfig,
    ResponseMapper,
)

from extproc.contract import DECISION, REASON
from extproc.envoyconfig.builders import IF_ABSENT, exact, header, text
from extproc.envoyconfig.filters.rbac import metadata
from extproc.envoyconfig.routes import hsts
from extproc.settings import Settings

# upstream trouble: Envoy's own text for it names addresses and library errors
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
    """Envoy's own answers, of which the processor's are a kind: no cache keeps them, each says its
    request id, which is in the access log beside the trace id (Envoy knows none here).

    The first mapper that matches counts. MemoryBudget are replaced only where the processor wrote
    none.
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
    unsaid = AccessLogFilter(
        and_filter=AndFilter(filters=[_status(500), _absent(REASON), _absent(DECISION)])
    )
    # no processor, or more than Envoy holds for it: in both cases the same request is worth another
    # try
    away = AccessLogFilter(
        and_filter=AndFilter(
            filters=[_status(503, ComparisonFilterOp.EQ), _absent(REASON), _absent(DECISION)]
        )
    )
    again = [*headers, header("retry-after", "2", IF_ABSENT)]
    # its flag, RL, comes too late for a mapper
    limited = AccessLogFilter(
        and_filter=AndFilter(filters=[_status(429, ComparisonFilterOp.EQ), _absent(REASON)])
    )
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
    return AccessLogFilter(
        status_code_filter=StatusCodeFilter(comparison=ComparisonFilter(op=op, value=value))
    )


def _absent(key: str) -> AccessLogFilter:
    """That the processor wrote no such key (the filter knows no `invert`; a value of ours is never
    empty).
    """
    never = metadata(key, exact(""))
    return AccessLogFilter(
        metadata_filter=MetadataFilter(matcher=never, match_if_key_not_found=True)
    )
