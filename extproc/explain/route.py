"""The route that Envoy chooses for a request, read from the generated configuration, so that the
explanation has no path rules of its own.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from extproc.contract import APPLICATION, PUBLIC, RULE, SHADOW
from extproc.core.http import Request
from extproc.envoyconfig.csrf import FOREIGN
from extproc.envoyconfig.filters.chain import ASSERTION, CORS, DECIDE
from extproc.envoyconfig.preflights import FOREIGN_PREFLIGHT
from extproc.envoyconfig.snapshot import HttpListener
from extproc.envoyconfig.tree import Tree, at, branch, items

_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")  # RFC 3986 section 2.3


@dataclass(frozen=True, slots=True)
class DirectAnswer:
    """An answer that Envoy gives by itself."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class ChosenRoute:
    """The route that Envoy chose.

    `application` is the application that the processor decides for, '' where Envoy does not call
    it. `assertion` says whether Envoy verifies an assertion on this route. `answer` is Envoy's own,
    if it has one. `cors` is the policy of the cors filter, empty where there is none.
    `rule` is the rule that decides the request, and `shadow` the rule in shadow mode beside it, ''
    where there is none.
    """

    name: str
    domain: str
    application: str
    public: bool
    assertion: bool
    cluster: str
    answer: DirectAnswer | None
    cors: Tree
    rule: str = ""
    shadow: str = ""


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
    key = {"dot-segments": "dot_segments", "escaped-slash": "escaped_slashes"}.get(rule)
    return f"applications.{name or 'NAME'}.{key}: keep lets it through" if key else ""


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
                    return _chosen(route, domain)
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
        whole = match["path_separated_prefix"]
        return path == whole or path.startswith(whole + "/")
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
    return bool(value == wanted.get("exact"))


def _chosen(route: Tree, domain: str) -> ChosenRoute:
    config = branch(route, "typed_per_filter_config")
    metadata = {
        entry.get("key"): entry.get("value")
        for entry in items(config, DECIDE, "overrides", "grpc_initial_metadata")
    }
    decided = not at(config, DECIDE, "disabled")
    return ChosenRoute(
        name=str(route.get("name", "")),
        domain=domain,
        application=str(metadata.get(APPLICATION, "")) if decided else "",
        public=metadata.get(PUBLIC) == "1",
        assertion=ASSERTION in config,
        cluster=str(at(route, "route", "cluster") or ""),
        answer=_direct_answer(route),
        cors=branch(config, CORS),
        rule=str(metadata.get(RULE, "")),
        shadow=str(metadata.get(SHADOW, "")),
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
