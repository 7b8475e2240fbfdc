"""Routes with the protected resource metadata of applications that accept access tokens (RFC 9728),
by which their clients find the provider.

Envoy answers by itself, with what the settings say, and never with anything of the request. The
document is for everybody, pages of other origins included.
"""

import json
from collections.abc import Iterator, Sequence

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, Route, RouteMatch

from extproc.core.bearer_access import METADATA, metadata_path
from extproc.envoyconfig.builders import exact, header, regex
from extproc.envoyconfig.direct import SAFE, direct
from extproc.settings import Settings
from extproc.settings.domain_access import access

# The end of the names of the routes.
RESOURCE = "resource-metadata"
_OTHERS = HeaderMatcher(name=":method", string_match=regex("GET|HEAD|OPTIONS"), invert_match=True)
_PREFLIGHT = HeaderMatcher(name=":method", string_match=exact("OPTIONS"))


def resource_metadata(settings: Settings, names: Sequence[str]) -> Iterator[Route]:
    """The routes of the applications of a virtual host, in their order: the longest path_prefix
    first. Without an application that accepts access tokens there are none.

    They take paths below the document's as well, because clients that have not seen a challenge
    append the path that they want to call. A path of an application that accepts none is 404 there;
    otherwise its clients would take the document of an application above it for its own.
    """
    if not any(name in settings.accepted for name in names):
        return
    for name in names:
        prefix = settings.applications[name].path_prefix
        path = metadata_path(f"http://host{prefix}").rstrip("/")
        if name in settings.accepted:
            yield from _document(settings, name, path)
        elif path != METADATA:
            yield direct(
                f"{name}:{RESOURCE}", RouteMatch(path_separated_prefix=path), 404, "No document."
            )


def _document(settings: Settings, name: str, path: str) -> Iterator[Route]:
    def match(method: HeaderMatcher) -> RouteMatch:
        return RouteMatch(path_separated_prefix=path, headers=[method])

    found = direct(f"{name}:{RESOURCE}", match(SAFE), 200, json.dumps(document(settings, name)))
    found.response_headers_to_add = [
        header("content-type", "application/json"),
        header("access-control-allow-origin", "*"),
        header("x-content-type-options", "nosniff"),
    ]
    yield found
    preflight = direct(f"{name}:{RESOURCE}:preflight", match(_PREFLIGHT), 204, "")
    preflight.response_headers_to_add = [
        header("access-control-allow-origin", "*"),
        header("access-control-allow-methods", "GET"),
        header("access-control-allow-headers", "*"),
    ]
    yield preflight
    other = direct(f"{name}:{RESOURCE}:method", match(_OTHERS), 405, "This document can be read.")
    other.response_headers_to_add = [header("allow", "GET, HEAD, OPTIONS")]
    yield other


def document(settings: Settings, name: str) -> dict[str, str | list[str]]:
    """The metadata of an application (RFC 9728 section 2).

    Clients send `resource` to the provider as it stands here, and compare each authorization server
    with `issuer` of the provider's metadata byte for byte.
    """
    accepted = settings.accepted[name]
    return {
        "resource": settings.url(name),
        "authorization_servers": [settings.providers[each].issuer for each in accepted.providers],
        "scopes_supported": list(access(settings, name).scopes),
        "bearer_methods_supported": ["header"],
    }
