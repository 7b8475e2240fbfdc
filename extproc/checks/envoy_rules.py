"""What each difference from the generated Envoy configuration means: a table of rules.

A rule's path names a place in the tree that `envoy_diff.comparable` makes; `*` stands for any name.
The first rule that fits decides. A difference that no rule knows is a warning.
"""

from dataclasses import dataclass

from extproc.checks.findings import Level
from extproc.envoyconfig.tree import Difference, Path

AGAIN = "generate the configuration again (`extproc envoy`) and restart Envoy with it"


@dataclass(frozen=True, slots=True)
class Rule:
    """The meaning of a difference at a path, or below it.

    `missing` replaces `what`, and `level_if_missing` replaces `level`, where the whole of the place
    is missing. `depth` is how many names of the path make one finding; 0: all names of `path`.
    """

    path: Path
    what: str
    level: Level = "error"
    missing: str = ""
    depth: int = 0
    level_if_missing: Level = "error"

    def fits(self, path: Path) -> bool:
        """Whether the rule is about this path, or about a place above it."""
        return len(path) >= len(self.path) and all(
            want in ("*", name) for want, name in zip(self.path, path, strict=False)
        )


NO_LOGIN = "so requests reach applications without a login"
_DECIDE = ("filters", "decide")
_ASSERTION = ("filters", "assertion", "typed_config")
_ROUTE = ("routes", "*", "*")

RULES = (
    Rule(
        (*_DECIDE, "processor", "failure_mode_allow"),
        "failure_mode_allow is on: while the processor is down, requests reach applications "
        "without a decision",
    ),
    Rule(
        (*_DECIDE, "processor", "observability_mode"),
        f"observability_mode is on: Envoy does not wait for the processor, {NO_LOGIN}",
    ),
    Rule(
        (*_DECIDE, "processor", "allow_mode_override"),
        "allow_mode_override is on: an answer could switch off what the processor is asked",
    ),
    Rule(
        (*_DECIDE, "processor", "disable_immediate_response"),
        "disable_immediate_response is on: Envoy ignores the processor's redirects and refusals",
    ),
    Rule(
        (*_DECIDE, "processor", "processing_mode"),
        "Envoy does not send the request's headers, by which the processor decides",
    ),
    Rule((*_DECIDE, "processor", "grpc_service"), "the processor is called in another way"),
    Rule(
        (*_DECIDE, "processor", "mutation_rules"),
        "the processor may change other parts of a request than it needs to",
    ),
    Rule(
        (*_DECIDE, "processor", "forward_rules"),
        "Envoy forwards other headers to the processor than those that it reads",
    ),
    Rule(
        (*_DECIDE, "processor", "metadata_options"),
        "the gate does not receive the processor's decision, so it lets no request through",
    ),
    Rule(
        (*_DECIDE, "processor"),
        "the processor's filter has other settings",
        level="warning",
        missing=f"no filter calls the processor, {NO_LOGIN}",
    ),
    Rule(
        (*_DECIDE, "matcher"),
        "the processor is left out for other requests than those with an assertion that Envoy "
        "verified",
        missing="the filter has no matcher: Envoy leaves the processor out for every request",
    ),
    Rule((*_DECIDE, "disabled"), f"the processor's filter is disabled, {NO_LOGIN}"),
    Rule(
        _DECIDE,
        "the processor's filter has other settings",
        missing=f"no filter calls the processor, {NO_LOGIN}",
        depth=2,
    ),
    Rule(
        ("filters", "gate"),
        "the gate does not require a verified assertion or the processor's decision",
        missing="there is no gate: requests that the processor did not decide reach applications",
    ),
    Rule(
        (*_ASSERTION, "providers", "*", "local_jwks"),
        "its keys are of another secret: Envoy believes assertions of an old secret, and refuses "
        "new ones",
        depth=5,
    ),
    Rule((*_ASSERTION, "providers", "*", "remote_jwks"), "its keys come from elsewhere", depth=5),
    Rule(
        (*_ASSERTION, "providers", "*"),
        "Envoy verifies assertions of this application differently",
        missing="Envoy verifies no assertion of this application",
        depth=5,
    ),
    Rule(
        (*_ASSERTION, "requirement_map", "*"),
        "Envoy requires something else of this application's requests",
        missing="Envoy has no requirement for this application: its routes answer 403",
        depth=5,
    ),
    Rule(
        ("filters", "assertion"),
        "Envoy verifies assertions differently",
        missing="Envoy verifies no assertion, so the gate cannot tell them from forged headers",
    ),
    Rule(
        ("filters", "cookies"),
        "cookies are handled differently: the processor's cookies may reach applications, or Envoy "
        "may believe planted ones",
        missing="the processor's cookies are not removed: they reach applications, and Envoy finds "
        "no assertion",
    ),
    Rule(
        ("filters", "cors"),
        "the filter of cors has other settings",
        level="warning",
        missing="no filter answers preflights: pages of other origins cannot use the applications "
        "that have cors",
        level_if_missing="warning",
    ),
    Rule(
        ("filters", "limit"),
        "requests are limited differently",
        level="warning",
        missing="nothing limits how often one address may call the processor",
        level_if_missing="warning",
    ),
    Rule(
        ("filters", "trailers"),
        "trailers of requests are handled differently: a client's identity header may be among "
        "them",
        missing="trailers of requests are not dropped: a client's identity header may be among "
        "them",
    ),
    Rule(
        ("filters", "router"),
        "the router has other settings",
        level="warning",
        missing="there is no router",
    ),
    Rule(
        ("manager", "early_header_mutation_extensions", "client_address"),
        "Envoy reads client addresses with a port differently: all clients may share one limit",
        level="warning",
        missing="Envoy takes the proxy in front for the client where X-Forwarded-For has a port",
        level_if_missing="warning",
    ),
    Rule(
        ("manager", "early_header_mutation_extensions"),
        "identity headers of clients are not all removed: a client can claim to be any user",
    ),
    Rule(
        ("manager", "use_remote_address"),
        "use_remote_address is off: Envoy believes the address that a client claims to have",
    ),
    Rule(
        ("manager", "xff_num_trusted_hops"),
        "Envoy trusts another number of proxies than gateway.trusted_hops",
    ),
    Rule(
        ("manager", "internal_address_config"),
        "some clients count as internal, so Envoy believes their x-envoy-* headers",
    ),
    Rule(
        ("manager", "scheme_header_transformation"),
        "the scheme of a request is what the client writes",
    ),
    Rule(
        ("manager", "normalize_path"),
        "paths are not normalised: routes and applications may read them differently",
    ),
    Rule(
        ("manager", "merge_slashes"),
        "slashes are not merged: routes and applications may read paths differently",
    ),
    Rule(
        ("manager", "path_with_escaped_slashes_action"),
        "escaped slashes are handled differently: routes and applications may read paths "
        "differently",
    ),
    Rule(
        ("manager", "common_http_protocol_options", "headers_with_underscores_action"),
        "headers with underscores pass: many applications read x_auth_sub as X-Auth-Sub",
    ),
    Rule(("manager", "access_log"), "the access log is written differently", level="warning"),
    Rule(
        (*_ROUTE, "typed_per_filter_config", "decide"),
        "the route configures the processor's filter differently",
        depth=5,
    ),
    Rule((*_ROUTE, "typed_per_filter_config", "gate"), "the route changes the gate", depth=5),
    Rule(
        (*_ROUTE, "typed_per_filter_config", "assertion"),
        "the route asks for another application's assertion",
        depth=5,
    ),
    Rule(
        (*_ROUTE, "typed_per_filter_config", "cors"),
        "the route answers pages of other origins in another way than cors says",
        depth=5,
    ),
    Rule(
        (*_ROUTE, "typed_per_filter_config"), "the route changes filters", level="warning", depth=4
    ),
    Rule((*_ROUTE, "match"), "the route matches other requests", depth=4),
    Rule((*_ROUTE, "route", "cluster"), "the route leads elsewhere"),
    Rule(
        _ROUTE,
        "the route has other settings",
        level="warning",
        missing="the route is missing: another route takes its requests",
        depth=3,
    ),
    Rule(
        ("routes", "*"),
        "its routes are different",
        missing="the host is not served, or by the routes of another host",
    ),
    Rule(
        ("clusters", "*", "load_assignment"),
        "leads to other addresses than the settings name",
        depth=2,
    ),
    Rule(("clusters", "*", "transport_socket"), "uses TLS differently", depth=3),
    Rule(
        ("clusters", "*"),
        "has other settings",
        level="warning",
        missing="is missing",
        depth=2,
    ),
    Rule(
        ("routing", "request_headers_to_remove"),
        "the header with the processor's cookies reaches applications",
    ),
    Rule(
        ("routing", "request_headers_to_add"),
        "the header Connection reaches applications as the client wrote it: a proxy behind Envoy "
        "drops the identity headers that it names",
    ),
    Rule(("routing", "typed_per_filter_config"), "filters are changed for every route"),
)
_OTHER = Rule((), "has other settings", level="warning")


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """Differences that one rule explains, at one place: one finding."""

    rule: Rule
    about: Path
    differences: tuple[Difference, ...]

    @property
    def gone(self) -> bool:
        """Whether the whole of the place is missing."""
        return any(
            difference.found == "" and difference.path == self.about
            for difference in self.differences
        )

    @property
    def level(self) -> Level:
        """How bad it is."""
        return self.rule.level_if_missing if self.gone and self.rule.missing else self.rule.level


def judge(differences: list[Difference]) -> list[RuleMatch]:
    """The differences, grouped by rule and place, in the order in which each group begins."""
    groups: dict[tuple[Rule, Path], list[Difference]] = {}
    for difference in differences:
        rule = next((rule for rule in RULES if rule.fits(difference.path)), _OTHER)
        about = difference.path[: rule.depth or len(rule.path) or 2]
        groups.setdefault((rule, about), []).append(difference)
    return [RuleMatch(rule, about, tuple(group)) for (rule, about), group in groups.items()]
