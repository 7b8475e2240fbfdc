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
from envoy_data_plane.envoy.extensions.matching.common_inputs.network.v3 import (
    DynamicMetadataInput,
    DynamicMetadataInputPathSegment,
)
from envoy_data_plane.envoy.extensions.matching.input_matchers.metadata.v3 import Metadata
from envoy_data_plane.envoy.type.matcher.v3 import ValueMatcher
from envoy_data_plane.xds.core.v3 import TypedExtensionConfig as XdsExtension
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherList,
    MatcherMatcherListFieldMatcher,
    MatcherMatcherListPredicate,
    MatcherMatcherListPredicateSinglePredicate,
    MatcherOnMatch,
)

from extproc.envoyconfig.builders import extension, pack
from extproc.envoyconfig.filters.jwt_authn import JWT_AUTHN, VERIFIED


def unless_signed_in(processor: ExternalProcessor) -> ExtensionWithMatcher:
    """The processor's filter, skipped for requests with a verified assertion. Envoy calls the
    processor for every request that the matcher does not match.
    """
    return unless(signed_in(), extension("envoy.filters.http.ext_proc", processor))


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


def signed_in() -> MatcherMatcherListPredicate:
    """Matches requests with a verified assertion, by what `assertion` wrote as dynamic metadata.

    No client can write that, and no header is believed, whatever its name in the settings.
    """
    path = [DynamicMetadataInputPathSegment(key=key) for key in VERIFIED]
    return MatcherMatcherListPredicate(
        single_predicate=MatcherMatcherListPredicateSinglePredicate(
            input=xds("assertion", DynamicMetadataInput(filter=JWT_AUTHN, path=path)),
            custom_match=xds("verified", Metadata(value=ValueMatcher(present_match=True))),
        )
    )


def xds(name: str, message: betterproto2.Message) -> XdsExtension:
    """Names a message as an extension, in the xDS API's own type."""
    return XdsExtension(name=name, typed_config=pack(message))
