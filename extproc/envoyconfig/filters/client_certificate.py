"""`certificate` and `subject`: RBAC filters that admit only clients whose TLS certificate a rule
names.

They refuse nothing by themselves; a route of such a rule has the names. They stand before
`assertion`, so a verified assertion does not help a client without the certificate. Envoy has
verified each certificate that a client shows, or has closed the connection (tls.py).

There are two, because no one of Envoy's matchers compares both exactly: `certificate` compares each
alternative name with its type, and `subject` the whole subject. Envoy's input with all alternative
names joins them with commas, and a name may have one; its principal_name is by turns a URI, a DNS
name or the subject.
"""

import re
from collections.abc import Iterable

from envoy_data_plane.envoy.config.core.v3 import TypedExtensionConfig
from envoy_data_plane.envoy.config.rbac.v3 import Action, Permission, Policy, Principal, RbacAction
from envoy_data_plane.envoy.config.rbac.v3 import Rbac as Rules
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac, RbacPerRoute
from envoy_data_plane.envoy.extensions.matching.common_inputs.ssl.v3 import SubjectInput
from envoy_data_plane.envoy.extensions.rbac.principals.mtls_authenticated.v3 import Config
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
)
from envoy_data_plane.xds.type.matcher.v3 import (
    Matcher,
    MatcherMatcherTree,
    MatcherMatcherTreeMatchMap,
    MatcherOnMatch,
)

from extproc.envoyconfig.builders import exact, extension, regex
from extproc.envoyconfig.filters.matcher import xds
from extproc.settings import RuleSettings, Settings
from extproc.settings.client_certificate import san_type


def asks_certificates(settings: Settings) -> bool:
    """Whether a rule of any application names client certificates."""
    return any(rule.client_certificate is not None for rule in _rules(settings))


def asks_subjects(settings: Settings) -> bool:
    """Whether a rule of any application names subjects of client certificates."""
    return any(
        rule.client_certificate is not None and rule.client_certificate.subjects is not None
        for rule in _rules(settings)
    )


def _rules(settings: Settings) -> Iterable[RuleSettings]:
    return (rule for each in settings.applications.values() for rule in each.rules)


def certificates() -> Rbac:
    """The filter of other routes, which refuses nothing."""
    return Rbac()


def of_sans(rule: str, sans: Iterable[str] | None) -> RbacPerRoute:
    """The filter `certificate` of the routes of a rule.

    Args:
        rule: its name.
        sans: the alternative names of which a certificate has one; None: any verified certificate.
    """
    shown = Config(any_validated_client_certificate=True)
    configs = [shown] if sans is None else [Config(san_matcher=_san(san)) for san in sans]
    principals = [Principal(custom=_mtls(config)) for config in configs]
    policy = Policy(permissions=[Permission(any=True)], principals=principals)
    return RbacPerRoute(rbac=Rbac(rules=Rules(policies={f"certificate of {rule}": policy})))


def _mtls(config: Config) -> TypedExtensionConfig:
    return extension("envoy.rbac.principals.mtls_authenticated", config)


def _san(value: str) -> SubjectAltNameMatcher:
    kind = san_type(value)
    # An exact match of a DNS name would take *.example.com for a.example.com, and ignore case.
    matcher = regex(re.escape(value)) if kind == "DNS" else exact(value)
    return SubjectAltNameMatcher(san_type=SubjectAltNameMatcherSanType[str(kind)], matcher=matcher)


def of_subjects(rule: str, subjects: Iterable[str]) -> RbacPerRoute:
    """The filter `subject` of the routes of a rule.

    Args:
        rule: its name.
        subjects: the subjects of which a certificate has one.
    """
    allow = Action(name=f"subject of {rule}", action=RbacAction.ALLOW)
    admitted = MatcherOnMatch(action=xds("allow", allow))
    tree = MatcherMatcherTree(
        input=xds("subject", SubjectInput()),
        exact_match_map=MatcherMatcherTreeMatchMap(map=dict.fromkeys(subjects, admitted)),
    )
    return RbacPerRoute(rbac=Rbac(matcher=Matcher(matcher_tree=tree)))
