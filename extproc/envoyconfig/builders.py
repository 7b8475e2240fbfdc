"""Short functions that make Envoy's messages, so that the other modules read like the
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
IF_PRESENT = HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS
IF_ABSENT = HeaderValueOptionHeaderAppendAction.ADD_IF_ABSENT


def pack(message: betterproto2.Message) -> Any:
    """Wraps a message as Envoy's typed_config."""
    return Any.pack(message)


def extension(name: str, message: betterproto2.Message) -> TypedExtensionConfig:
    """Names a message as one of Envoy's extensions."""
    return TypedExtensionConfig(name=name, typed_config=pack(message))


def seconds(value: float) -> timedelta:
    """A duration."""
    return timedelta(seconds=value)


def text(value: str) -> DataSource:
    """Inline text. Envoy substitutes nothing in it, so a % needs no escape."""
    return DataSource(inline_string=value)


def file(path: object) -> DataSource:
    """A file that Envoy reads."""
    return DataSource(filename=str(path))


def exact(value: str) -> StringMatcher:
    """Matches this value alone."""
    return StringMatcher(exact=value)


def regex(pattern: str) -> StringMatcher:
    """Matches a whole value against an RE2 pattern."""
    return StringMatcher(safe_regex=RegexMatcher(regex=pattern))


def header(
    key: str, value: str, how: HeaderValueOptionHeaderAppendAction = SET
) -> HeaderValueOption:
    """A header to write.

    Args:
        key: the header's name.
        value: a format string: % begins a command operator, and the caller doubles a plain %.
        how: what happens where the header exists already; by default it is overwritten.
    """
    return HeaderValueOption(header=HeaderValue(key=key, value=value), append_action=how)
