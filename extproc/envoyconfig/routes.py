"""Virtual hosts and routes: the policy of every request is the route that Envoy chose, so nobody
guesses a path twice.

A virtual host has, in this order:
1. 400 for a Host that is no host with a port;
2. our own endpoints, of every application, the longest first: no assertion is looked at, so the
   processor is never skipped, and they end in a 404 of Envoy's own, so a code or a logout reaches
   no application, whatever prefixes there are;
3. 400 for what a server might read as a dot segment, where every application rejects that;
4. the applications, the longest path_prefix first, each with
   - the redirect from /wiki to /wiki/,
   - 400 for escaped slashes, where another application keeps them, and likewise for dot segments,
   - 400 for what its upstream might read as a path of another application that asks more of a user,
   - its public paths, one route each,
   - its live streams that end with their session: no assertion is looked at, so the processor is
     always asked,
   - its pages;
5. a 403 for CONNECT and a 404, so that no request is without a route.
Unlisted hosts get 421.
"""

from collections.abc import Iterator, Sequence

from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption, Metadata
from envoy_data_plane.envoy.config.route.v3 import (
    Decorator,
    HeaderMatcher,
    RetryPolicy,
    Route,
    RouteAction,
    RouteConfiguration,
    RouteMatch,
    Tracing,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExtProcOverrides,
    ExtProcPerRoute,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import PerRouteConfig
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import FractionalPercent
from envoy_data_plane.google.protobuf import Any, Struct

from extproc.contract import (
    APPLICATION,
    APPLICATION_KEY,
    CACHE_CONTROL,
    LIVE,
    MORE_COOKIES,
    NAMESPACE,
    PUBLIC,
    SET_COOKIE,
)
from extproc.contract import COOKIES as OURS
from extproc.core.endpoints import BACKCHANNEL_LOGOUT, ENDPOINTS
from extproc.envoyconfig import regexes
from extproc.envoyconfig.builders import ADD, header, pack, regex, seconds
from extproc.envoyconfig.clusters import application_cluster
from extproc.envoyconfig.direct import (
    CONNECT,
    EVERYTHING,
    direct,
    dot_segments,
    escaped_slashes,
    odd_host,
    readings,
    rejects_dot_segments,
    slash,
    unasked,
    unlisted,
)
from extproc.envoyconfig.filters.chain import ASSERTION, COOKIES, DECIDE, LIMIT
from extproc.envoyconfig.filters.ext_proc import processing_mode
from extproc.envoyconfig.filters.jwt_authn import asserted
from extproc.envoyconfig.filters.local_ratelimit import unlimited
from extproc.envoyconfig.filters.lua_cookies import keeping
from extproc.settings import Settings

# seconds without a byte either way: a WebSocket without pings, a stream of rare events
_IDLE = 3600


_LIVE = {
    "websocket": HeaderMatcher(name="upgrade", present_match=True),
    "event_stream": HeaderMatcher(name="accept", string_match=regex("(?i).*text/event-stream.*")),
    "grpc": HeaderMatcher(
        name="content-type", string_match=StringMatcher(prefix="application/grpc")
    ),
}
# none was sent
_AGAIN = RetryPolicy(retry_on="connect-failure,refused-stream,reset-before-request", num_retries=1)


def route_configuration(settings: Settings) -> RouteConfiguration:
    return RouteConfiguration(
        name="gateway",
        virtual_hosts=list(_virtual_hosts(settings)),
        ignore_port_in_host_matching=True,  # and the Host header goes on as it came
        request_headers_to_remove=[OURS],
        response_headers_to_add=hsts(settings),
    )


def hsts(settings: Settings) -> list[HeaderValueOption]:
    """Strict-Transport-Security (RFC 6797); a gateway.url of http sends none."""
    if not settings.gateway.hsts or not settings.gateway.url.startswith("https://"):
        return []
    return [header("strict-transport-security", f"max-age={int(settings.gateway.hsts)}")]


def keeps_escaped_slashes(settings: Settings) -> bool:
    return any(
        application.escaped_slashes == "keep" for application in settings.applications.values()
    )


def hosts(settings: Settings) -> list[str]:
    """Every host that an application lists, in their order."""
    return list(
        dict.fromkeys(
            host for application in settings.applications.values() for host in application.hosts
        )
    )


def _virtual_hosts(settings: Settings) -> Iterator[VirtualHost]:
    """Hosts with the same applications share one. What is on "*" is on every host, but where a host
    has its own.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for host in [*(h for h in hosts(settings) if h != "*"), "*"]:
        groups.setdefault(served(settings, host), []).append(host)
    for names, domains in groups.items():
        yield VirtualHost(
            name="+".join(names) or "unlisted",
            domains=["*"] if "*" in domains else domains,
            routes=_routes(settings, names) if names else [*unlisted()],
        )


def served(settings: Settings, host: str) -> tuple[str, ...]:
    """Their names, the longest path_prefix first."""
    listed = {a.path_prefix: name for name, a in settings.applications.items() if "*" in a.hosts}
    listed |= {a.path_prefix: name for name, a in settings.applications.items() if host in a.hosts}
    return tuple(
        listed[prefix] for prefix in sorted(listed, key=lambda prefix: (-len(prefix), prefix))
    )


def _routes(settings: Settings, names: Sequence[str]) -> list[Route]:
    refused = [dot_segments("dot-segments", "/")] if rejects_dot_segments(settings, names) else []
    own = [
        route
        for name in names
        if not settings.applications[name].exclude
        for route in _own(settings, name)
    ]
    pages = [route for name in names for route in _application(settings, name, names)]
    nothing = direct("none", EVERYTHING, 404, "There is nothing here.")
    return [
        odd_host(),
        *own,
        *refused,
        *pages,
        direct("connect", CONNECT, 403, "There are no tunnels here."),
        nothing,
    ]


def _own(settings: Settings, name: str) -> Iterator[Route]:
    """Our own endpoints. Of one of them the body is read, and of no other request."""
    application = settings.applications[name]
    prefix = application.path_prefix + ENDPOINTS
    if settings.providers[str(application.provider)].backchannel_logout:
        path = RouteMatch(path=prefix + BACKCHANNEL_LOGOUT)
        yield _endpoint(f"{name}:{BACKCHANNEL_LOGOUT}", name, path, _decide(name, body=True))
    yield _endpoint(f"{name}:own", name, RouteMatch(prefix=prefix), _decide(name))


def _endpoint(route_name: str, name: str, match: RouteMatch, decide: Any) -> Route:
    route = direct(route_name, match, 404, "There is nothing here.")
    route.metadata = _of(name)
    route.typed_per_filter_config = {DECIDE: decide}
    # logins, callbacks and logouts are few, and the ones that somebody asks about: each has its
    # trace
    route.tracing = Tracing(random_sampling=FractionalPercent(numerator=100))
    return route


def _application(settings: Settings, name: str, names: Sequence[str]) -> Iterator[Route]:
    application = settings.applications[name]
    prefix = application.path_prefix
    if prefix != "/":
        yield slash(settings, name)
    if application.escaped_slashes == "reject" and keeps_escaped_slashes(settings):
        yield escaped_slashes(f"{name}:escaped-slash", prefix)
    if application.dot_segments == "reject" and not rejects_dot_segments(settings, names):
        yield dot_segments(f"{name}:dot-segments", prefix)
    yield from readings(settings, name, names)
    for path in application.public_paths:
        match = RouteMatch(safe_regex=RegexMatcher(regex=regexes.public(path)))
        yield _pages(settings, f"{name}:public:{path}", name, match, public=True)
    for kind in application.end_streams:
        match = RouteMatch(prefix=prefix, headers=[_LIVE[kind]])
        yield _pages(
            settings, f"{name}:live:{kind}", name, match, {DECIDE: _decide(name, live=True)}
        )
    yield _pages(settings, name, name, RouteMatch(prefix=prefix))


def _pages(
    settings: Settings,
    route: str,
    name: str,
    match: RouteMatch,
    config: dict[str, Any] | None = None,
    *,
    public: bool = False,
) -> Route:
    application = settings.applications[name]
    if config is None:
        config = unasked() if application.exclude else _asked(settings, name, public=public)
    if not application.strip_cookies:
        config[COOKIES] = pack(keeping())
    return Route(
        name=route,
        match=match,
        metadata=_of(name),
        # no deadline for an answer that has begun: downloads, event streams, WebSockets
        route=RouteAction(
            cluster=application_cluster(name),
            timeout=seconds(0),
            idle_timeout=seconds(_IDLE),
            retry_policy=_AGAIN,
        ),
        typed_per_filter_config=config,
        response_headers_to_add=[] if application.exclude else _renewal(settings),
        decorator=Decorator(operation=route, propagate=False),
    )


def _of(name: str) -> Metadata:
    """For the access log: which application a route is of."""
    return Metadata(filter_metadata={NAMESPACE: Struct.from_dict({APPLICATION_KEY: name})})


def _asked(settings: Settings, name: str, *, public: bool) -> dict[str, Any]:
    config = {DECIDE: _decide(name, public=public)}
    if public:
        config[LIMIT] = unlimited()
    if name in asserted(settings):
        config[ASSERTION] = pack(PerRouteConfig(requirement_name=name))
    return config


def _decide(name: str, *, public: bool = False, body: bool = False, live: bool = False) -> Any:
    """What the route says to the processor, in gRPC metadata, which no client can write. body: it
    gets the body, too.

    live: its stream stays open as long as the response does, since that has its trailers yet to
    come.
    """
    say = [HeaderValue(key=APPLICATION, value=name)]
    if public:
        say.append(HeaderValue(key=PUBLIC, value="1"))
    mode = processing_mode(ProcessingModeBodySendMode.BUFFERED) if body else None
    if live:
        say.append(HeaderValue(key=LIVE, value="1"))
        send = ProcessingModeHeaderSendMode.SEND
        mode = ProcessingMode(
            request_header_mode=send, response_header_mode=send, response_trailer_mode=send
        )
    return pack(
        ExtProcPerRoute(overrides=ExtProcOverrides(grpc_initial_metadata=say, processing_mode=mode))
    )


def _renewal(settings: Settings) -> list[HeaderValueOption]:
    """A renewed assertion comes as metadata of the processor's answer; without any, nothing is
    added.

    The application's own Cache-Control gives way to it, or a shared cache would keep somebody's
    assertion.
    """
    # where sessions are in cookies, renewed tokens come with it, and once a minute the last use
    keys = (SET_COOKIE, *MORE_COOKIES) if settings.store.kind == "cookie" else (SET_COOKIE,)
    return [
        *(header("set-cookie", f"%DYNAMIC_METADATA({NAMESPACE}:{key})%", ADD) for key in keys),
        header("cache-control", f"%DYNAMIC_METADATA({NAMESPACE}:{CACHE_CONTROL})%"),
    ]
