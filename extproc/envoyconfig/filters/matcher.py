"""Matchers that skip a filter, for requests that already have a verified identity."""

import betterproto2
from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.extensions.common.matching.v3 import ExtensionWithMatcher
from envoy_data_plane.envoy.extensions.filters.common.matcher.action.v3 import SkipFilter
from envoy_data_plane.envoy.extensions.filters.http.composite.v3 import (
    Composite,
    ExecuteFilterAction,
)
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ExternalProcessor
from envoy_data_plane.envoy.type.matcher.v3 import HttpRequestHeaderMatchInput
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as XdsExtension
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherList,
    MatcherMatcherListFieldMatcher,
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicateSinglePredicate,
    MatcherOnMatch,
)
from envoy_data_plane.xds.type.matcher.v3 import RegexMatcher as XdsRegexMatcher
from envoy_data_plane.xds.type.matcher.v3 import RegexMatcherGoogleRe2 as XdsGoogleRe2
from envoy_data_plane.xds.type.matcher.v3 import StringMatcher as XdsStringMatcher

from extproc.envoyconfig.builders import extension, pack
from extproc.settings import Settings


def unless_signed_in(settings: Settings, processor: ExternalProcessor) -> ExtensionWithMatcher:
    """The processor's filter, skipped for requests with a verified assertion. Envoy calls the
    processor for every request that the matcher does not match.
    """
    return unless(signed_in(settings), extension("envoy.filters.http.ext_proc", processor))


def unless(
    skipped: MatcherMatcherListPredicate, wrapped: TypedExtensionConfig
) -> ExtensionWithMatcher:
    """A filter, skipped for requests that match.

    ExtensionWithMatcher without a matcher would skip it for every request. The composite filter
    makes the wrapped one only when it runs: an ext_proc filter that is made and then skipped costs
    Envoy a quarter of a bare request.
    """
    skip = MatcherMatcherListFieldMatcher(
        predicate=skipped, on_match=MatcherOnMatch(action=xds("skip", SkipFilter()))
    )
    ask = ExecuteFilterAction(typed_config=wrapped)
    return ExtensionWithMatcher(
        extension_config=extension("envoy.filters.http.composite", Composite()),
        xds_matcher=Matcher(
            matcher_list=MatcherMatcherList(matchers=[skip]),
            on_no_match=MatcherOnMatch(action=xds("ask", ask)),
        ),
    )


def signed_in(settings: Settings) -> MatcherMatcherListPredicate:
    """Matches requests with a verified assertion, of which `assertion` made the subject header."""
    return _header_is(settings.identity.subject_header, ".+")


def _header_is(name: str, pattern: str) -> MatcherMatcherListPredicate:
    return MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=xds(name, HttpRequestHeaderMatchInput(header_name=name)),
            value_match=XdsStringMatcher(
                safe_regex=XdsRegexMatcher(google_re2=XdsGoogleRe2(), regex=pattern)
            ),
        )
    )


def xds(name: str, message: betterproto2.Message) -> XdsExtension:
    """Names a message as an extension, in the xDS API's own type."""
    return XdsExtension(name=name, typed_config=pack(message))
