"""The route that Envoy chooses for a request, by the generated configuration: nobody guesses a path
twice, not here either.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from extproc.contract import APPLICATION, PUBLIC
from extproc.core.http import Request
from extproc.envoyconfig.filters.chain import ASSERTION, DECIDE
from extproc.envoyconfig.regexes import ESCAPED_SLASH
from extproc.envoyconfig.snapshot import HttpListener
from extproc.envoyconfig.tree import Tree, at, branch, items


@dataclass(frozen=True, slots=True)
class Chosen:
    """A route. application: whom the processor decides for, '' where Envoy does not ask it. answer:
    Envoy's own, (status, text).
    """

    name: str
    domain: str
    application: str
    public: bool
    assertion: bool
    cluster: str
    answer: tuple[int, str] | None


def refused(front: HttpListener, path: str, headers: tuple[tuple[str, str], ...]) -> str | None:
    """Why Envoy takes no such request at all."""
    options = branch(front.manager, "common_http_protocol_options")
    if options.get("headers_with_underscores_action") == "REJECT_REQUEST":
        for name, _ in headers:
            if "_" in name:
                return f"a header with an underscore, {name}: applications would read it as another"
    if "%00" in path:
        return "an encoded NUL in the path"
    if front.manager.get("path_with_escaped_slashes_action") == "REJECT_REQUEST" and re.search(
        ESCAPED_SLASH, path
    ):
        return (
            "an escaped slash in the path (applications.NAME.escaped_slashes: keep lets them "
            "through)"
        )
    return None


def remedy(route: str) -> str:
    """Which setting lets through what a route of Envoy's own refuses; '' where it refuses nothing,
    or no setting does.
    """
    name, _, rule = route.rpartition(":reads-as:")
    if name:
        return (
            f"an upstream may read it as a path of {rule}, which asks more of a user; where "
            "that one reads paths as they "
            f"are written, set applications.{name}.upstream_paths: exact"
        )
    name, _, rule = route.rpartition(":")
    key = {"dot-segments": "dot_segments", "escaped-slash": "escaped_slashes"}.get(rule)
    return f"applications.{name or 'NAME'}.{key}: keep lets it through" if key else ""


def choose(front: HttpListener, request: Request) -> Chosen | None:
    """None where no route fits, which the generated configuration does not let happen."""
    for domain in (request.host, "*"):
        for host in front.hosts:
            if domain in host.get("domains", []):
                found = next(
                    (
                        each
                        for each in items(host, "routes")
                        if _fits(branch(each, "match"), request)
                    ),
                    None,
                )
                return _chosen(found, domain) if found is not None else None
    return None


def normalized(path: str) -> str:
    """As Envoy does it before it chooses: RFC 3986 section 6.2.2, and merge_slashes."""
    path = re.sub(
        r"%[0-9A-Fa-f]{2}",
        lambda m: c if re.fullmatch(r"[A-Za-z0-9._~-]", c := unquote(m[0])) else m[0],
        path,
    )
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return re.sub(r"/{2,}", "/", "/" + "/".join(kept))


def _fits(match: Tree, request: Request) -> bool:
    if "connect_matcher" in match:
        return request.method == "CONNECT"
    if request.method == "CONNECT":
        return False
    regex = at(match, "safe_regex", "regex")
    path = (
        match.get("path") == request.path
        or (match.get("prefix") is not None and request.path.startswith(match["prefix"]))
        or (regex is not None and re.fullmatch(regex, request.path) is not None)
    )
    return path and all(_has(each, request) for each in items(match, "headers"))


def _has(wanted: Tree, request: Request) -> bool:
    name = str(wanted.get("name"))
    value = request.authority if name == ":authority" else request.header(name)
    return _matches(wanted, value) != bool(wanted.get("invert_match"))


def _matches(wanted: Tree, value: str) -> bool:
    if wanted.get("present_match"):
        return bool(value)
    said = branch(wanted, "string_match")
    regex = at(said, "safe_regex", "regex")
    if regex is not None:
        return re.fullmatch(regex, value) is not None
    return value == said.get("exact") or (
        said.get("prefix") is not None and value.startswith(said["prefix"])
    )


def _chosen(route: Tree, domain: str) -> Chosen:
    config = branch(route, "typed_per_filter_config")
    said = {
        each.get("key"): each.get("value")
        for each in items(config, DECIDE, "overrides", "grpc_initial_metadata")
    }
    asked = not at(config, DECIDE, "disabled")
    return Chosen(
        str(route.get("name", "")),
        domain,
        str(said.get(APPLICATION, "")) if asked else "",
        said.get(PUBLIC) == "1",
        ASSERTION in config,
        str(at(route, "route", "cluster") or ""),
        _answer(route),
    )


def _answer(route: Tree) -> tuple[int, str] | None:
    direct, redirect = branch(route, "direct_response"), branch(route, "redirect")
    if direct:
        return int(direct.get("status", 0)), str(at(direct, "body", "inline_string") or "")
    if redirect:
        return 301, f"to {redirect.get('path_redirect', '/')}"
    return None
