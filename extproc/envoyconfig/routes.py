"""The routes of one application: the processor's endpoints, live streams, public paths and pages.

`virtual_hosts.py` puts them in order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from envoy_data_plane.envoy.config.core.v3 import HeaderValue, Metadata
from envoy_data_plane.envoy.config.route.v3 import (
    Decorator,
    HeaderMatcher,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    Tracing,
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
    ACCESS,
    APPLICATION,
    APPLICATION_KEY,
    FINGERPRINT,
    LIVE,
    NAMESPACE,
    PUBLIC,
    RULE,
    SHADOW,
)
from extproc.core.endpoints import BACKCHANNEL_LOGOUT, ENDPOINTS
from extproc.envoyconfig import regexes
from extproc.envoyconfig.builders import pack, regex, seconds
from extproc.envoyconfig.clusters import application_cluster
from extproc.envoyconfig.csrf import foreign_pages
from extproc.envoyconfig.direct import (
    direct,
    dot_segments,
    escaped_slashes,
    readings,
    rejects_dot_segments,
    rejects_escaped_slashes,
    slash,
    unasked,
)
from extproc.envoyconfig.filters.chain import (
    ASSERTION,
    COOKIES,
    CORS,
    DECIDE,
    LIMIT,
    NETWORKS,
)
from extproc.envoyconfig.filters.cors import policy
from extproc.envoyconfig.filters.ext_proc import processing_mode
from extproc.envoyconfig.filters.jwt_authn import asserted, requirement_name
from extproc.envoyconfig.filters.local_ratelimit import unlimited
from extproc.envoyconfig.filters.lua_cookies import bodiless, keeping
from extproc.envoyconfig.filters.networks import admitted
from extproc.envoyconfig.preflights import bare, foreign_preflights
from extproc.envoyconfig.response_headers import added, taken
from extproc.envoyconfig.rules import (
    RuleRoute,
    denied,
    outside_closed_paths,
    refused_methods,
    refused_requests,
    rule_routes,
    shadow_routes,
)
from extproc.settings import Settings
from extproc.settings.domain_access import access
from extproc.settings.fingerprint import fingerprint

# The end of the name of the route of preflights that an application answers itself.
PREFLIGHT = "preflight"
# Seconds without a byte in either direction: a WebSocket without pings, a stream of rare events.
_IDLE_TIMEOUT = 3600
_LIVE_STREAMS = {
    "websocket": HeaderMatcher(name="upgrade", present_match=True),
    "event_stream": HeaderMatcher(name="accept", string_match=regex("(?i).*text/event-stream.*")),
    "grpc": HeaderMatcher(
        name="content-type", string_match=StringMatcher(prefix="application/grpc")
    ),
}
# Requests of which the upstream got nothing.
_RETRIES = RetryPolicy(
    retry_on="connect-failure,refused-stream,reset-before-request", num_retries=1
)


def endpoint_routes(settings: Settings, name: str) -> Iterator[Route]:
    """The processor's own endpoints of an application.

    Envoy sends the body to the processor on one of them, the back-channel logout, and on no other
    route.
    """
    application = settings.applications[name]
    prefix = application.path_prefix + ENDPOINTS
    if settings.providers[str(application.provider)].backchannel_logout:
        path = RouteMatch(path=prefix + BACKCHANNEL_LOGOUT)
        yield _endpoint(
            f"{name}:{BACKCHANNEL_LOGOUT}", name, path, _decide(settings, name, body=True)
        )
    yield _endpoint(f"{name}:own", name, RouteMatch(prefix=prefix), _decide(settings, name))


def _endpoint(route_name: str, name: str, match: RouteMatch, decide: Any) -> Route:
    """A route that the processor answers; without an answer, Envoy's 404.

    Args:
        route_name: the route's name.
        name: the application.
        match: the requests that it takes.
        decide: the configuration of the processor's filter.
    """
    route = direct(route_name, match, 404, "There is nothing here.")
    route.metadata = _metadata(name)
    route.typed_per_filter_config = {DECIDE: decide}
    # Logins, callbacks and logouts are few, and operators look for them, so each has its trace.
    route.tracing = Tracing(random_sampling=FractionalPercent(numerator=100))
    return route


def application_routes(settings: Settings, name: str, names: Sequence[str]) -> Iterator[Route]:
    """The routes of an application's paths.

    Args:
        settings: the settings of all applications.
        name: the application.
        names: the applications of the virtual host.
    """
    application = settings.applications[name]
    prefix = application.path_prefix
    if prefix != "/":
        yield from slash(settings, name)
    yield from foreign_preflights(settings, name)
    yield from foreign_pages(settings, name)
    if application.escaped_slashes == "reject" and not rejects_escaped_slashes(settings, names):
        yield escaped_slashes(f"{name}:escaped-slash", prefix)
    if application.dot_segments == "reject" and not rejects_dot_segments(settings, names):
        yield dot_segments(f"{name}:dot-segments", prefix)
    yield from readings(settings, name, names)
    yield from refused_requests(application, name)
    yield from passed_preflights(settings, name)
    for path in application.public_paths:
        match = RouteMatch(safe_regex=RegexMatcher(regex=regexes.public(path)))
        config = _filter_config(settings, name, public=True)
        yield _forwarding(settings, name, f"{name}:public:{path}", match, config, public=True)
    for route in rule_routes(application):
        yield from _ruled(settings, name, route)
    yield from refused_methods(application, name)
    for route in (*shadow_routes(application), RuleRoute(RouteMatch(prefix=prefix), None)):
        yield from _ruled(settings, name, route)


def _ruled(settings: Settings, name: str, route: RuleRoute) -> Iterator[Route]:
    """The routes of requests that a rule decides, or none: those of live streams, then the pages.

    Args:
        settings: the settings of all applications.
        name: the application.
        route: the requests, the rule, and the rule in shadow mode beside it.
    """
    application, rule = settings.applications[name], route.rule
    if rule is not None and rule.deny:
        yield denied(name, route, rule)
        return
    route_name = name if rule is None else f"{name}:rule:{rule.name}"
    network = {NETWORKS: pack(admitted(rule))} if rule is not None and rule.networks else {}
    if application.exclude or (rule is not None and rule.login == "none"):
        public = rule is not None
        config = {**unasked(), **network}
        yield _forwarding(settings, name, route_name, route.match, config, public=public)
        return
    for kind in application.end_streams:
        headers = [*route.match.headers, _LIVE_STREAMS[kind]]
        match = replace(route.match, headers=headers)
        config = {DECIDE: _decide(settings, name, live=True, route=route), **network}
        yield _forwarding(settings, name, f"{route_name}:live:{kind}", match, config)
    public = rule is not None and rule.login == "optional"
    config = {**_filter_config(settings, name, public=public, route=route), **network}
    yield _forwarding(settings, name, route_name, route.match, config, public=public)


def passed_preflights(settings: Settings, name: str) -> Iterator[Route]:
    """The route of preflights that an application answers itself, without a call of the processor
    and without an identity (`preflight: pass`). There is none for the paths of rules that deny or
    name networks.
    """
    application = settings.applications[name]
    if application.preflight == "pass":
        config = {**unasked(), COOKIES: pack(bodiless())}
        match = bare(application.path_prefix)
        match.headers = [*match.headers, *outside_closed_paths(application)]
        yield _forwarding(settings, name, f"{name}:{PREFLIGHT}", match, config, public=True)


def _forwarding(
    settings: Settings,
    name: str,
    route_name: str,
    match: RouteMatch,
    config: dict[str, Any],
    *,
    public: bool = False,
) -> Route:
    """A route to the application's upstream.

    Args:
        settings: the settings of all applications.
        name: the application.
        route_name: the route's name, and the name of its span.
        match: the requests that it takes.
        config: the configuration of the filters by their names.
        public: the paths need no login.
    """
    application = settings.applications[name]
    if not application.strip_cookies:
        config = {COOKIES: pack(keeping()), **config}
    if application.cors:
        config = {**config, CORS: pack(policy(application.cors))}
    return Route(
        name=route_name,
        match=match,
        metadata=_metadata(name),
        # A response has no deadline: downloads, event streams and WebSockets last.
        route=RouteAction(
            cluster=application_cluster(name),
            timeout=seconds(0),
            idle_timeout=seconds(_IDLE_TIMEOUT),
            retry_policy=_RETRIES,
        ),
        typed_per_filter_config=config,
        response_headers_to_add=added(settings, name, public=public),
        response_headers_to_remove=taken(settings, name),
        decorator=Decorator(operation=route_name, propagate=False),
    )


def _metadata(name: str) -> Metadata:
    """The route's application, for the access log."""
    return Metadata(filter_metadata={NAMESPACE: Struct.from_dict({APPLICATION_KEY: name})})


def _filter_config(
    settings: Settings, name: str, *, public: bool = False, route: RuleRoute | None = None
) -> dict[str, Any]:
    """The filter configuration of a route on which the processor decides.

    Args:
        settings: the settings of all applications.
        name: the application.
        public: the paths need no login.
        route: the rules of its requests; None: no rule has them.
    """
    config = {DECIDE: _decide(settings, name, public=public, route=route)}
    if public:
        config[LIMIT] = unlimited()
    if name in asserted(settings):
        requirement = requirement_name(name, *_rules_of(route))
        config[ASSERTION] = pack(PerRouteConfig(requirement_name=requirement))
    return config


def _rules_of(route: RuleRoute | None) -> tuple[str, str]:
    """The names of the rule and of the rule in shadow mode of a route, each "" for none."""
    if route is None:
        return "", ""
    rule, shadow = route.rule, route.shadow
    return rule.name if rule is not None else "", shadow.name if shadow is not None else ""


def _decide(
    settings: Settings,
    name: str,
    *,
    public: bool = False,
    body: bool = False,
    live: bool = False,
    route: RuleRoute | None = None,
) -> Any:
    """The processor's configuration on a route: gRPC metadata, which no client can write.

    Args:
        settings: the settings of all applications.
        name: the application.
        public: the paths need no login.
        body: Envoy sends the request's body, too.
        live: the processor's stream stays open as long as the response, because Envoy has yet to
            send the response's trailers.
        route: the rules of its requests; None: no rule has them.
    """
    rule, shadow = _rules_of(route)
    entitlement = access(settings, name)
    metadata = [
        HeaderValue(key=APPLICATION, value=name),
        HeaderValue(key=FINGERPRINT, value=fingerprint(settings, name)),
    ]
    further = ((ACCESS, entitlement.digest), (RULE, rule), (SHADOW, shadow))
    metadata += [HeaderValue(key=key, value=value) for key, value in further if value]
    mode = None
    if public:
        metadata.append(HeaderValue(key=PUBLIC, value="1"))
    if body:
        mode = processing_mode(ProcessingModeBodySendMode.BUFFERED)
    if live:
        metadata.append(HeaderValue(key=LIVE, value="1"))
        send = ProcessingModeHeaderSendMode.SEND
        mode = ProcessingMode(
            request_header_mode=send, response_header_mode=send, response_trailer_mode=send
        )
    overrides = ExtProcOverrides(grpc_initial_metadata=metadata, processing_mode=mode)
    return pack(ExtProcPerRoute(overrides=overrides))
