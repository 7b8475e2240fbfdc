"""Small makers of Envoy's messages, so that the modules beside this one read like the
configuration.
"""

from datetime import timedelta

import betterproto2
from envoy_data_plane.envoy.config.core.v3 import (
    DataSource,
    HeaderValue,
    HeaderValueOption,
    HeaderValueOptionHeaderAppendAction,
    TypedExtensionConfig,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.google.protobuf import Any

SET = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
ADD = HeaderValueOptionHeaderAppendAction.APPEND_IF_EXISTS_OR_ADD
IF_ABSENT = HeaderValueOptionHeaderAppendAction.ADD_IF_ABSENT


def pack(message: betterproto2.Message) -> Any:
    """A message as Envoy's typed_config."""
    return Any.pack(message)


def extension(name: str, message: betterproto2.Message) -> TypedExtensionConfig:
    return TypedExtensionConfig(name=name, typed_config=pack(message))


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


def text(value: str) -> DataSource:
    """Inline text, taken as it is: Envoy fills in nothing here, so a % needs no escape."""
    return DataSource(inline_string=value)


def file(path: object) -> DataSource:
    return DataSource(filename=str(path))


def exact(value: str) -> StringMatcher:
    return StringMatcher(exact=value)


def regex(pattern: str) -> StringMatcher:
    """RE2, and the whole value must match."""
    return StringMatcher(safe_regex=RegexMatcher(regex=pattern))


def header(
    key: str, value: str, how: HeaderValueOptionHeaderAppendAction = SET
) -> HeaderValueOption:
    """A header to write; `value` is a format, in which % is a command's and a plain one is doubled
    by the caller.
    """
    return HeaderValueOption(header=HeaderValue(key=key, value=value), append_action=how)
