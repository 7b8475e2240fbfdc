"""Which differences from the generated configuration mean what: RULES, the first that fits is the
one.

A path names a part of `anatomy` (comparing.py); `*` is any one name. What no rule knows is a
warning.
"""

from dataclasses import dataclass

from extproc.checks.findings import Level
from extproc.envoyconfig.tree import Difference, Path

AGAIN = "generate the configuration again (`extproc envoy`) and restart Envoy with it"


@dataclass(frozen=True, slots=True)
class Rule:
    """about: how many names of the path are one finding, whatever differs below; 0: as many as
    `path` has.

    missing: what is said where all of it is gone, at the level `gone`.
    """

    path: Path
    what: str
    level: Level = "error"
    missing: str = ""
    about: int = 0
    gone: Level = "error"

    def fits(self, path: Path) -> bool:
        return len(path) >= len(self.path) and all(
            want in ("*", name) for want, name in zip(self.path, path, strict=False)
        )


OPEN = "and nobody has to sign in"
_ASK, _KNOWN = ("filters", "decide"), ("filters", "assertion", "typed_config")
_ROUTE = ("routes", "*", "*")

RULES = (
    Rule(
        (*_ASK, "processor", "failure_mode_allow"),
        "failure_mode_allow is on: while the processor is away, requests pass unasked",
    ),
    Rule(
        (*_ASK, "processor", "observability_mode"),
        f"observability_mode is on: Envoy does not wait for the processor, {OPEN}",
    ),
    Rule(
        (*_ASK, "processor", "allow_mode_override"),
        "allow_mode_override is on: an answer could switch off what the processor is asked",
    ),
    Rule(
        (*_ASK, "processor", "disable_immediate_response"),
        "disable_immediate_response is on: no redirect or refusal of the processor counts",
    ),
    Rule(
        (*_ASK, "processor", "processing_mode"),
        "the processor is not sent what it decides by: the request's headers",
    ),
    Rule((*_ASK, "processor", "grpc_service"), "the processor is called in another way"),
    Rule(
        (*_ASK, "processor", "mutation_rules"),
        "other changes of requests are allowed than the processor needs",
    ),
    Rule((*_ASK, "processor", "forward_rules"), "other headers go to the processor than it reads"),
    Rule(
        (*_ASK, "processor", "metadata_options"),
        "the gate does not get the processor's word, so it lets nobody through",
    ),
    Rule(
        (*_ASK, "processor"),
        "the processor's filter is set otherwise",
        "warning",
        f"no filter asks the processor, {OPEN}",
    ),
    Rule(
        (*_ASK, "matcher"),
        "the processor is left out for other requests than those of an assertion that Envoy "
        "verified",
        missing="the filter has no matcher: Envoy leaves the processor out for every request",
    ),
    Rule((*_ASK, "disabled"), f"the processor's filter is disabled, {OPEN}"),
    Rule(
        (*_ASK,),
        "the processor's filter is set otherwise",
        missing=f"no filter asks the processor, {OPEN}",
        about=2,
    ),
    Rule(
        ("filters", "gate"),
        "the gate lets through something else than a verified assertion or the processor's word",
        missing="there is no gate: what the processor was not asked about gets through",
    ),
    Rule(
        (*_KNOWN, "providers", "*", "local_jwks"),
        "its keys are of another secret: assertions of an old secret are believed, new ones "
        "are not",
        about=5,
    ),
    Rule((*_KNOWN, "providers", "*", "remote_jwks"), "its keys come from elsewhere", about=5),
    Rule(
        (*_KNOWN, "providers", "*"),
        "assertions of this application are believed otherwise",
        missing="no assertion of this application is verified",
        about=5,
    ),
    Rule(
        (*_KNOWN, "requirement_map", "*"),
        "Envoy requires something else of this application's requests",
        missing="Envoy has no requirement for this application: its routes answer 403",
        about=5,
    ),
    Rule(
        ("filters", "assertion"),
        "assertions are looked at otherwise",
        missing="Envoy verifies no assertion, and the gate cannot tell them from forged headers",
    ),
    Rule(
        ("filters", "cookies"),
        "cookies are handled otherwise: ours may reach applications, or planted ones be believed",
        missing="our cookies are not taken out: they reach applications, and Envoy sees no "
        "assertion",
    ),
    Rule(
        ("filters", "limit"),
        "requests are limited otherwise",
        "warning",
        "nothing limits how often one address may ask the processor",
        gone="warning",
    ),
    Rule(("filters", "router"), "the router is set otherwise", "warning", "there is no router"),
    Rule(
        ("manager", "early_header_mutation_extensions"),
        "identity headers of clients are not all removed: anybody can say who they are",
    ),
    Rule(
        ("manager", "use_remote_address"),
        "use_remote_address is off: clients say where they come from",
    ),
    Rule(
        ("manager", "xff_num_trusted_hops"),
        "another number of proxies is believed than gateway.trusted_hops says",
    ),
    Rule(
        ("manager", "internal_address_config"),
        "some clients count as internal, so that their x-envoy-* headers are believed",
    ),
    Rule(
        ("manager", "normalize_path"),
        "paths are not normalized: routes and applications may read them differently",
    ),
    Rule(
        ("manager", "merge_slashes"),
        "slashes are not merged: routes and applications may read paths differently",
    ),
    Rule(
        ("manager", "path_with_escaped_slashes_action"),
        "escaped slashes are handled otherwise: routes and applications may read paths differently",
    ),
    Rule(
        ("manager", "common_http_protocol_options", "headers_with_underscores_action"),
        "headers with underscores pass: x_auth_sub is X-Auth-Sub to many applications",
    ),
    Rule(("manager", "access_log"), "the access log is written otherwise", "warning"),
    Rule(
        (*_ROUTE, "typed_per_filter_config", "decide"),
        "the route tells the processor's filter something else",
        about=5,
    ),
    Rule((*_ROUTE, "typed_per_filter_config", "gate"), "the route changes the gate", about=5),
    Rule(
        (*_ROUTE, "typed_per_filter_config", "assertion"),
        "the route asks for another application's assertion",
        about=5,
    ),
    Rule((*_ROUTE, "typed_per_filter_config"), "the route changes filters", "warning", about=4),
    Rule((*_ROUTE, "match"), "the route is for other requests", about=4),
    Rule((*_ROUTE, "route", "cluster"), "the route leads elsewhere"),
    Rule(
        (*_ROUTE,),
        "the route is set otherwise",
        "warning",
        "the route is missing: its requests go by another one",
        about=3,
    ),
    Rule(
        ("routes", "*"),
        "its routes are others",
        missing="the host is not served, or by another's routes",
    ),
    Rule(
        ("clusters", "*", "load_assignment"),
        "leads to other addresses than the settings say",
        about=2,
    ),
    Rule(("clusters", "*", "transport_socket"), "TLS to it is otherwise", about=3),
    Rule(("clusters", "*"), "is set otherwise", "warning", "is missing", about=2),
    Rule(
        ("routing", "request_headers_to_remove"),
        "the cookies that are handed to the processor reach applications",
    ),
    Rule(("routing", "typed_per_filter_config"), "filters are changed for every route"),
)
_OTHER = Rule((), "is set otherwise", "warning")


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """One finding to be: a rule, what it is about, the differences below."""

    rule: Rule
    about: Path
    differences: tuple[Difference, ...]

    @property
    def level(self) -> Level:
        return self.rule.gone if self.gone and self.rule.missing else self.rule.level

    @property
    def gone(self) -> bool:
        """Whether the whole of what it is about is not there."""
        return any(each.found == "" and each.path == self.about for each in self.differences)


def judge(found: list[Difference]) -> list[RuleMatch]:
    """Grouped, in order."""
    groups: dict[tuple[Rule, Path], list[Difference]] = {}
    for each in found:
        rule = next((rule for rule in RULES if rule.fits(each.path)), _OTHER)
        about = each.path[: rule.about or len(rule.path) or 2]
        groups.setdefault((rule, about), []).append(each)
    return [RuleMatch(rule, about, tuple(each)) for (rule, about), each in groups.items()]
