"""The virtual hosts and the order of their routes.

The policy of a request is that of the route that Envoy chooses, so the processor and the
applications' settings never interpret a path a second time.

A virtual host has, in this order:

1. 405 for TRACE and TRACK;
2. 400 for a Host that is not a host with an optional port, and for escaped slashes where every
   application rejects them;
3. the processor's own endpoints of every application, the longest prefix first: Envoy looks at no
   assertion there, so it always calls the processor, and they end in a 404 of Envoy's own, so that
   a code or a logout reaches no application, whatever prefixes there are;
4. the protected resource metadata of applications that accept access tokens
   (resource_metadata.py);
5. 400 for what a server might read as a dot segment, where every application rejects that;
6. the applications, the longest path_prefix first, each with
   - the redirects from /wiki to /wiki/,
   - 403 for preflights of other origins than those of `cors` (preflights.py), and for what pages
     of other origins may not send (csrf.py),
   - 400 for escaped slashes, where another application keeps them, and likewise for dot segments,
   - 400 for what its upstream might read as a path of another application that asks more of a user,
   - the preflights that it answers itself (preflights.py),
   - its public paths, one route each,
   - its live streams that end with their session: Envoy looks at no assertion there, so it always
     calls the processor,
   - its pages; where a rule accepts access tokens, those of requests with Authorization apart, of
     which Envoy looks at no assertion;
7. a 403 for CONNECT and a 404, so that every request has a route.

Hosts that no application lists get 421.
"""

from collections.abc import Iterator, Sequence

from envoy_data_plane.envoy.config.core.v3 import HeaderValueOption
from envoy_data_plane.envoy.config.route.v3 import Route, RouteConfiguration, VirtualHost

from extproc.contract import COOKIES
from extproc.envoyconfig.builders import IF_ABSENT, IF_PRESENT, header
from extproc.envoyconfig.direct import (
    CONNECT,
    EVERYTHING,
    UNLISTED,
    direct,
    dot_segments,
    escaped_slashes,
    no_trace,
    odd_host,
    rejects_dot_segments,
    rejects_escaped_slashes,
    unlisted,
)
from extproc.envoyconfig.resource_metadata import resource_metadata
from extproc.envoyconfig.routes import application_routes, endpoint_routes
from extproc.settings import Settings

# Bytes of an answer of Envoy's own.
_LONGEST_BODY = 65_536


def route_configuration(settings: Settings) -> RouteConfiguration:
    """All virtual hosts of the gateway."""
    return RouteConfiguration(
        name="gateway",
        virtual_hosts=list(_virtual_hosts(settings)),
        # Applications get the Host header unchanged, its port included.
        ignore_port_in_host_matching=True,
        request_headers_to_remove=[COOKIES],
        # A document of resource_metadata.py may be longer than the default of 4 kB.
        max_direct_response_body_size_bytes=_LONGEST_BODY,
        # Of a WebSocket's request alone is anything left of Connection by now. A client may have
        # named an identity header in it, and a proxy behind Envoy would drop that header.
        request_headers_to_add=[header("connection", "Upgrade", IF_PRESENT)],
        response_headers_to_add=hsts(settings),
    )


def hsts(settings: Settings) -> list[HeaderValueOption]:
    """Strict-Transport-Security (RFC 6797), where the response has none of an application that may
    set it (response_headers.py); none at all with a gateway.url of http.
    """
    if not settings.gateway.hsts or not settings.gateway.url.startswith("https://"):
        return []
    return [header("strict-transport-security", f"max-age={int(settings.gateway.hsts)}", IF_ABSENT)]


def hosts(settings: Settings) -> list[str]:
    """Every host that an application lists, in their order, each once."""
    listed = [host for each in settings.applications.values() for host in each.hosts]
    return list(dict.fromkeys(listed))


def served(settings: Settings, host: str) -> tuple[str, ...]:
    """The names of the applications on a host, the longest path_prefix first.

    An application on "*" is on every host, unless the host lists another with its path_prefix.
    """
    by_prefix = {}
    for listed in ("*", host):
        for name, application in settings.applications.items():
            if listed in application.hosts:
                by_prefix[application.path_prefix] = name
    prefixes = sorted(by_prefix, key=lambda prefix: (-len(prefix), prefix))
    return tuple(by_prefix[prefix] for prefix in prefixes)


def _virtual_hosts(settings: Settings) -> Iterator[VirtualHost]:
    """Hosts with the same applications share a virtual host."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for host in [*(host for host in hosts(settings) if host != "*"), "*"]:
        groups.setdefault(served(settings, host), []).append(host)
    for names, domains in groups.items():
        yield VirtualHost(
            name="+".join(names) or UNLISTED,
            domains=["*"] if "*" in domains else domains,
            routes=_routes(settings, names) if names else list(unlisted()),
        )


def _routes(settings: Settings, names: Sequence[str]) -> list[Route]:
    slashes = [escaped_slashes(":escaped-slash", "/")]
    if not rejects_escaped_slashes(settings, names):
        slashes = []
    refused = [dot_segments(":dot-segments", "/")] if rejects_dot_segments(settings, names) else []
    own = [
        route
        for name in names
        if name in settings.protected
        for route in endpoint_routes(settings, name)
    ]
    pages = [route for name in names for route in application_routes(settings, name, names)]
    return [
        no_trace(),
        odd_host(),
        *slashes,
        *own,
        *resource_metadata(settings, names),
        *refused,
        *pages,
        direct(":connect", CONNECT, 403, "There are no tunnels here."),
        direct(":none", EVERYTHING, 404, "There is nothing here."),
    ]
