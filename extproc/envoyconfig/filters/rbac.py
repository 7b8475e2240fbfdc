"""`gate`: the RBAC filter, which admits a request only after an explicit decision.

It is independent of the filters before it: if one of them is missing, loosened or fails open, the
gate still refuses every request that neither an assertion nor the processor admitted.
"""

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
    """Admits requests that have the subject header or the processor's decision to continue.

    A subject header is that of a verified assertion or the processor's, because `clean` removed
    every other.
    """
    decision = SourcedMetadata(metadata_matcher=metadata(DECISION, exact(CONTINUE)))
    principals = [Principal(sourced_metadata=decision)]
    if fast_path(settings):
        # First, because Envoy stops at the first principal that matches, and this one usually does.
        subject = HeaderMatcher(name=settings.identity.subject_header, present_match=True)
        principals.insert(0, Principal(header=subject))
    policy = Policy(permissions=[Permission(any=True)], principals=principals)
    return Rbac(rules=Rules(policies={"decided": policy}))


def metadata(key: str, value: StringMatcher) -> MetadataMatcher:
    """Matches a value in the dynamic metadata of the processor's answer."""
    path = [MetadataMatcherPathSegment(key=key)]
    return MetadataMatcher(filter=NAMESPACE, path=path, value=ValueMatcher(string_match=value))
