"""`gate`: the RBAC filter, which admits a request only after an explicit decision.

It is independent of the filters before it: if one of them is missing, loosened or fails open, the
gate still refuses every request that neither an assertion nor the processor admitted.
"""

from envoy_data_plane.envoy.config.rbac.v3 import Permission, Policy, Principal, SourcedMetadata
from envoy_data_plane.envoy.config.rbac.v3 import Rbac as Rules
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac
from envoy_data_plane.envoy.type.matcher.v3 import (
    MetadataMatcher,
    MetadataMatcherPathSegment,
    StringMatcher,
    ValueMatcher,
)

from extproc.contract import CONTINUE, DECISION, NAMESPACE
from extproc.envoyconfig.builders import exact
from extproc.envoyconfig.filters.jwt_authn import JWT_AUTHN, VERIFIED, fast_path
from extproc.settings import Settings


def gate(settings: Settings) -> Rbac:
    """Admits requests that have a verified assertion or the processor's decision to continue, both
    as dynamic metadata, which no client can write.
    """
    principals = [_has(metadata(DECISION, exact(CONTINUE)))]
    if fast_path(settings):
        # First, because Envoy stops at the first principal that matches, and this one usually does.
        path = [MetadataMatcherPathSegment(key=key) for key in VERIFIED]
        present = ValueMatcher(present_match=True)
        principals.insert(0, _has(MetadataMatcher(filter=JWT_AUTHN, path=path, value=present)))
    policy = Policy(permissions=[Permission(any=True)], principals=principals)
    return Rbac(rules=Rules(policies={"decided": policy}))


def _has(matcher: MetadataMatcher) -> Principal:
    return Principal(sourced_metadata=SourcedMetadata(metadata_matcher=matcher))


def metadata(key: str, value: StringMatcher) -> MetadataMatcher:
    """Matches a value in the dynamic metadata of the processor's answer."""
    path = [MetadataMatcherPathSegment(key=key)]
    return MetadataMatcher(filter=NAMESPACE, path=path, value=ValueMatcher(string_match=value))
