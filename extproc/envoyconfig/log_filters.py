"""Conditions on an answer, in the language of Envoy's access log filters."""

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLogFilter,
    AndFilter,
    ComparisonFilter,
    ComparisonFilterOp,
    MetadataFilter,
    StatusCodeFilter,
)
from envoy_data_plane.envoy.config.core.v3 import RuntimeUInt32
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher

from extproc.envoyconfig.builders import exact
from extproc.envoyconfig.filters.rbac import metadata


def all_of(*filters: AccessLogFilter) -> AccessLogFilter:
    """Matches what all of the filters match."""
    return AccessLogFilter(and_filter=AndFilter(filters=list(filters)))


def status(number: int, op: ComparisonFilterOp = ComparisonFilterOp.GE) -> AccessLogFilter:
    """Matches by the status of the answer; by default this one and higher ones."""
    value = RuntimeUInt32(default_value=number, runtime_key=f"extproc.status_{number}")
    return AccessLogFilter(
        status_code_filter=StatusCodeFilter(comparison=ComparisonFilter(op=op, value=value))
    )


def metadata_is(key: str, value: StringMatcher | None) -> AccessLogFilter:
    """Matches by a value in the dynamic metadata of the processor's answer.

    Args:
        key: the key of the value.
        value: what it has to match; None: there is no such value. The filter has no `invert`, so it
            then compares with a value that the processor never writes, the empty one, and matches
            if the key is not found.
    """
    absent = value is None
    matcher = metadata(key, exact("") if value is None else value)
    return AccessLogFilter(
        metadata_filter=MetadataFilter(matcher=matcher, match_if_key_not_found=absent)
    )
