"""The route that Envoy chooses for a request, read from the generated configuration, so that the
explanation has no path rules of its own.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from extproc.contract import ACCESS, APPLICATION, PUBLIC, RULE, SHADOW
from extproc.core.http import Request
from extproc.envoyconfig.csrf import FOREIGN
from extproc.envoyconfig.filters.chain import ASSERTION, CORS, DECIDE, NETWORKS
from extproc.envoyconfig.preflights import FOREIGN_PREFLIGHT
from extproc.envoyconfig.rules import DENIED, METHOD, SPELLED
from extproc.envoyconfig.snapshot import HttpListener
from extproc.envoyconfig.tree import Tree, at, branch, items
from extproc.explain.client_certificate import CertificateDemand, demanded

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")  # RFC 3986 section 2.3


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """An answer that Envoy gives by itself."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class ChosenRoute:
    """The route that Envoy chose.

    Attributes:
        application: the application that the processor decides for, '' where Envoy does not call
            it.
        owner: the application that the route is of, '' for those of the gateway.
        rule: the rule that decides, '' for none; also where Envoy does not call the processor.
        shadow: the rule in shadow mode beside it, '' for none.
        access: the digest of the access section that the route was made from, or ''.
        audiences: of which an assertion names one, so that Envoy accepts it; empty where Envoy
            verifies none.
        networks: the networks of the clients that Envoy lets in; empty for any.
        certificate: of the clients that Envoy lets in; None for any, and for none.
        answer: Envoy's own answer, if the route has one.
        cors: the policy of the cors filter, empty where there is none.
    """

    name: str
    domain: str
    application: str
    owner: str
    public: bool
    rule: str
    shadow: str
    access: str
    audiences: tuple[str, ...]
    networks: tuple[str, ...]
    certificate: CertificateDemand | None
    cluster: str
    answer: DirectAnswer | None
    cors: Tree


def refused(listener: HttpListener, path: str, headers: tuple[tuple[str, str], ...]) -> str | None:
    """Why Envoy refuses a request before it looks for a route, or None.

    Args:
        listener: the generated listener.
        path: the path as the client sends it.
        headers: names, in lower case, and values.
    """
    options = branch(listener.manager, "common_http_protocol_options")
    if options.get("headers_with_underscores_action") == "REJECT_REQUEST":
        for name, _ in headers:
            if "_" in name:
                return f"the header {name} has an underscore: applications would read it as another"
    if "%00" in path:
        return "an encoded NUL in the path"
    return None


def remedy(route: str) -> str:
    """The setting that lets through what one of Envoy's own routes refuses.

    '' where the route refuses nothing, or no setting changes that.
    """
    name, _, inner = route.rpartition(":reads-as:")
    if name:
        return (
            f"an upstream may read it as a path of {inner}, which asks more of a user; if that "
            f"upstream reads paths as they are written, set applications.{name}.upstream_paths: "
            "exact"
        )
    name, _, rule = route.rpartition(":")
    if rule in FOREIGN:
        return (
            f"the request is a page's of another origin; if that page may send it, list its origin "
            f"in applications.{name}.allowed_origins"
        )
    if rule == FOREIGN_PREFLIGHT:
        return f"if that page may read answers, list its origin in applications.{name}.cors.origins"
    if rule in (SPELLED, METHOD, DENIED):
        return _rule_remedy(name, rule)
    key = {"dot-segments": "dot_segments", "escaped-slash": "escaped_slashes"}.get(rule)
    return f"applications.{name or 'NAME'}.{key}: keep lets it through" if key else ""


def _rule_remedy(name: str, end: str) -> str:
    """The setting that lets through what a route of an application's rules refuses.

    Args:
        name: the name of the route without its end.
        end: SPELLED, METHOD or DENIED.
    """
    if end == DENIED:
        application, _, rule = name.partition(":rule:")
        return f"applications.{application}.rules.{rule} has deny: true"
    if end == SPELLED:
        return (
            "an upstream may read it as a path of a rule; if that upstream reads paths as they "
            f"are written, set applications.{name}.upstream_paths: exact"
        )
    return (
        f"no rule of this path in applications.{name}.rules takes the method; add it to methods "
        "of one. A method in lower case, or that HTTP and its extensions do not define, is never "
        "accepted"
    )


def choose(listener: HttpListener, request: Request) -> ChosenRoute | None:
    """The route that Envoy chooses; None where no route matches.

    The generated configuration has a route for every request, so None means a fault in it.
    """
    for domain in (request.host, "*"):
        for host in listener.hosts:
            if domain not in host.domains:
                continue
            for route in host.routes:
                if _matches(branch(route, "match"), request):
                    return _chosen(listener, route, domain)
            return None
    return None


def normalised(path: str) -> str:
    """A path as Envoy reads it before it chooses a route (RFC 3986 section 6.2.2)."""
    kept: list[str] = []
    segments = re.sub(r"%[0-9A-Fa-f]{2}", _decoded, path).split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return re.sub(r"/{2,}", "/", "/" + "/".join(kept))


def _decoded(encoded: re.Match[str]) -> str:
    """An encoded character as itself, if it needs no encoding."""
    character = unquote(encoded[0])
    return character if _UNRESERVED.fullmatch(character) else encoded[0]


def _matches(match: Tree, request: Request) -> bool:
    if "connect_matcher" in match:
        return request.method == "CONNECT"
    if request.method == "CONNECT":
        return False
    headers = items(match, "headers")
    return _path_matches(match, request.path) and all(
        _header_matches(header, request) for header in headers
    )


def _path_matches(match: Tree, path: str) -> bool:
    if "path" in match:
        return bool(match["path"] == path)
    if "prefix" in match:
        return path.startswith(match["prefix"])
    if "path_separated_prefix" in match:
        whole = str(match["path_separated_prefix"])
        return path == whole or path.startswith(f"{whole}/")
    regex = at(match, "safe_regex", "regex")
    return regex is not None and re.fullmatch(regex, path) is not None


def _header_matches(matcher: Tree, request: Request) -> bool:
    name = str(matcher.get("name"))
    pseudo = {
        ":authority": request.authority,
        ":method": request.method,
        ":path": request.target,
    }
    value = pseudo.get(name) or request.header(name)
    present = bool(value)
    if matcher.get("present_match"):
        return present != bool(matcher.get("invert_match"))
    if not present and not matcher.get("treat_missing_header_as_empty"):
        # Whether it is inverted or not, Envoy's match of a missing value fails.
        return False
    return _value_matches(matcher, value) != bool(matcher.get("invert_match"))


def _value_matches(matcher: Tree, value: str) -> bool:
    wanted = branch(matcher, "string_match")
    regex = at(wanted, "safe_regex", "regex")
    if regex is not None:
        return re.fullmatch(regex, value) is not None
    if "prefix" in wanted:
        return value.startswith(wanted["prefix"])
    if "contains" in wanted:
        return str(wanted["contains"]) in (value.lower() if wanted.get("ignore_case") else value)
    return bool(value == wanted.get("exact"))


def _chosen(listener: HttpListener, route: Tree, domain: str) -> ChosenRoute:
    config = branch(route, "typed_per_filter_config")
    metadata = {
        str(entry.get("key")): str(entry.get("value", ""))
        for entry in items(config, DECIDE, "overrides", "grpc_initial_metadata")
    }
    asked = not at(config, DECIDE, "disabled") and APPLICATION in metadata
    name = str(route.get("name", ""))
    # Where Envoy does not call the processor, only the name tells the rule.
    named = re.search(r":rule:([^:]+)", name)
    return ChosenRoute(
        name=name,
        domain=domain,
        application=metadata[APPLICATION] if asked else "",
        owner=name.partition(":")[0],
        public=metadata.get(PUBLIC) == "1",
        rule=metadata.get(RULE, "") if asked or named is None else named[1],
        shadow=metadata.get(SHADOW, ""),
        access=metadata.get(ACCESS, ""),
        audiences=_audiences(listener, str(at(config, ASSERTION, "requirement_name") or "")),
        networks=_networks(branch(config, NETWORKS)),
        certificate=demanded(config),
        cluster=str(at(route, "route", "cluster") or ""),
        answer=_direct_answer(route),
        cors=branch(config, CORS),
    )


def _audiences(listener: HttpListener, requirement: str) -> tuple[str, ...]:
    """The audiences that a requirement of jwt_authn accepts, as the provider or itself has them."""
    verifying = branch(listener.filter(ASSERTION), "typed_config")
    found: list[object] = []
    for each in items(verifying, "requirement_map", requirement, "requires_any", "requirements"):
        provider = each.get("provider_name") or at(each, "provider_and_audiences", "provider_name")
        own = at(each, "provider_and_audiences", "audiences")
        of_provider = at(verifying, "providers", str(provider), "audiences")
        found += own or of_provider or []
    return tuple(str(audience) for audience in found)


def _networks(config: Tree) -> tuple[str, ...]:
    """The networks that an RBAC filter lets in; a prefix of no bits is left out in a message."""
    ranges = [
        branch(principal, "remote_ip")
        for policy in branch(config, "rbac", "rules", "policies").values()
        for principal in items(policy, "principals")
    ]
    return tuple(
        f"{network.get('address_prefix')}/{network.get('prefix_len', '0')}" for network in ranges
    )


def _direct_answer(route: Tree) -> DirectAnswer | None:
    response, redirect = branch(route, "direct_response"), branch(route, "redirect")
    if response:
        text = str(at(response, "body", "inline_string") or "")
        return DirectAnswer(int(response.get("status", 0)), text)
    if redirect:
        status = 308 if redirect.get("response_code") == "PERMANENT_REDIRECT" else 301
        return DirectAnswer(status, f"to {redirect.get('path_redirect', '/')}")
    return None
