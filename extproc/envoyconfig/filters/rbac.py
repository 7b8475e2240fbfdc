"""The gate: an RBAC filter that admits a request only after an explicit decision."""

from envoy_data_plane.envoy.config.rbac.v3 import Permission, Policy, Principal, SourcedMetadata
from envoy_data_plane.envoy.config.rbac.v3 import Rbac as Rules
from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac
from envoy_data_plane.envoy.type.matcher.v3 import (
    MetadataMatcher,
    MetadataMatcherPathSegment,
    StringMatcher,
    ValueMatcher,
)

from extproc.contract import CONTINUE, DECISION, NAMESPACE
from extproc.envoyconfig.builders import exact
from extproc.envoyconfig.filters.jwt_authn import fast_path
from extproc.settings import Settings


def gate(settings: Settings) -> Rbac:
    """The second lock. The subject header is a verified assertion's or the processor's: clean took
    every other.
    """
    said = SourcedMetadata(metadata_matcher=metadata(DECISION, exact(CONTINUE)))
    decided = [Principal(sourced_metadata=said)]
    if fast_path(settings):
        # the first that holds ends the search, and this one nearly always does
        decided.insert(
            0,
            Principal(
                header=HeaderMatcher(name=settings.identity.subject_header, present_match=True)
            ),
        )
    return Rbac(
        rules=Rules(
            policies={"decided": Policy(permissions=[Permission(any=True)], principals=decided)}
        )
    )


def metadata(key: str, value: StringMatcher) -> MetadataMatcher:
    """A value of what the processor wrote."""
    path = [MetadataMatcherPathSegment(key=key)]
    return MetadataMatcher(filter=NAMESPACE, path=path, value=ValueMatcher(string_match=value))
