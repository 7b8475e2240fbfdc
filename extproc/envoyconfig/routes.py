"""The routes of one application: the processor's endpoints, live streams, public paths and pages.

`virtual_hosts.py` puts them in order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    Route,
    RouteMatch,
    Tracing,
)
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher, StringMatcher
from envoy_data_plane.envoy.type.v3 import FractionalPercent
from envoy_data_plane.google.protobuf import Any

from extproc.core.endpoints import BACKCHANNEL_LOGOUT, ENDPOINTS
from extproc.core.http import AUTHORIZATION
from extproc.envoyconfig import regexes
from extproc.envoyconfig.builders import pack
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
    CERTIFICATE,
    COOKIES,
    DECIDE,
    LIMIT,
    NETWORKS,
    SUBJECT,
)
from extproc.envoyconfig.filters.client_certificate import of_sans, of_subjects
from extproc.envoyconfig.filters.local_ratelimit import unlimited
from extproc.envoyconfig.filters.lua_cookies import bodiless
from extproc.envoyconfig.filters.networks import admitted
from extproc.envoyconfig.forwarding import (
    filter_config,
    forwarding,
    processor_config,
    route_metadata,
)
from extproc.envoyconfig.preflights import bare, foreign_preflights
from extproc.envoyconfig.rules import (
    RuleRoute,
    denied,
    outside_closed_paths,
    refused_methods,
    refused_requests,
    rule_routes,
    shadow_routes,
)
from extproc.settings import RuleSettings, Settings

# The end of the name of the route of preflights that an application answers itself.
PREFLIGHT = "preflight"
# The end of the name of a route whose requests no assertion admits.
BEARER = "bearer"
_AUTHORIZED = HeaderMatcher(name=AUTHORIZATION, present_match=True)
_LIVE_STREAMS = {
    "websocket": HeaderMatcher(name="upgrade", present_match=True),
    # No regex: bytes that are not UTF-8 match no `.` in Envoy 1.36.
    "event_stream": HeaderMatcher(
        name="accept", string_match=StringMatcher(contains="text/event-stream", ignore_case=True)
    ),
    "grpc": HeaderMatcher(
        name="content-type", string_match=StringMatcher(prefix="application/grpc")
    ),
}


def endpoint_routes(settings: Settings, name: str) -> Iterator[Route]:
    """The processor's own endpoints of an application.

    Envoy sends the body to the processor on one of them, the back-channel logout, and on no other
    route.
    """
    application = settings.applications[name]
    prefix = application.path_prefix + ENDPOINTS
    if settings.providers[str(application.provider)].backchannel_logout:
        path = RouteMatch(path=prefix + BACKCHANNEL_LOGOUT)
        config = processor_config(settings, name, body=True)
        yield _endpoint(f"{name}:{BACKCHANNEL_LOGOUT}", name, path, config)
    config = processor_config(settings, name)
    yield _endpoint(f"{name}:own", name, RouteMatch(prefix=prefix), config)


def _endpoint(route_name: str, name: str, match: RouteMatch, decide: Any) -> Route:
    """A route that the processor answers; without an answer, Envoy's 404.

    Args:
        route_name: the route's name.
        name: the application.
        match: the requests that it takes.
        decide: the configuration of the processor's filter.
    """
    route = direct(route_name, match, 404, "There is nothing here.")
    route.metadata = route_metadata(name)
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
        config = filter_config(settings, name, public=True)
        yield forwarding(settings, name, f"{name}:public:{path}", match, config, public=True)
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
    by_envoy = _checked_by_envoy(rule) if rule is not None else {}
    if application.exclude or (rule is not None and rule.login == "none"):
        public = rule is not None
        config = {**unasked(), **by_envoy}
        open_to_all = forwarding(settings, name, route_name, route.match, config, public=public)
        if application.forward_access_token:
            # There is no token of the processor's, and nobody else's may look like it.
            open_to_all.request_headers_to_remove = ["authorization"]
        yield open_to_all
        return
    public = rule is not None and rule.login == "optional"
    unbounded = {LIMIT: unlimited()} if public else {}
    for kind in application.end_streams:
        headers = [*route.match.headers, _LIVE_STREAMS[kind]]
        match = replace(route.match, headers=headers)
        decide = processor_config(settings, name, live=True, public=public, route=route)
        config = {DECIDE: decide, **unbounded, **by_envoy}
        live_name = f"{route_name}:live:{kind}"
        yield forwarding(settings, name, live_name, match, config, public=public)
    for match, asserted, limited in _by_credential(route):
        config = filter_config(settings, name, public=public, route=route, by_session=asserted)
        if limited:
            config.pop(LIMIT, None)
        by = "" if asserted else f":{BEARER}"
        config = {**config, **by_envoy}
        yield forwarding(settings, name, route_name + by, match, config, public=public)


def _by_credential(route: RuleRoute) -> Iterator[tuple[RouteMatch, bool, bool]]:
    """The requests of a route, whether an assertion may admit them, and whether the rate limit
    counts them even where everybody may come in.

    Where its rule accepts access tokens, no assertion admits a request with Authorization: the
    processor decides by which of the two. Each of them costs the processor a verification.
    """
    accept = route.rule.accept if route.rule is not None else ("session",)
    open_to_all = route.rule is not None and route.rule.login == "optional"
    if "bearer" in accept and ("session" in accept or open_to_all):
        yield replace(route.match, headers=[*route.match.headers, _AUTHORIZED]), False, True
    yield route.match, "session" in accept, False


def _checked_by_envoy(rule: RuleSettings) -> dict[str, Any]:
    """The conditions of a rule that Envoy itself checks, whoever the user is."""
    config: dict[str, Any] = {}
    if rule.networks:
        config[NETWORKS] = pack(admitted(rule))
    if rule.client_certificate is not None:
        config[CERTIFICATE] = pack(of_sans(rule.name, rule.client_certificate.sans))
        if rule.client_certificate.subjects is not None:
            config[SUBJECT] = pack(of_subjects(rule.name, rule.client_certificate.subjects))
    return config


def passed_preflights(settings: Settings, name: str) -> Iterator[Route]:
    """The route of preflights that an application answers itself, without a call of the processor
    and without an identity (`preflight: pass`). There is none for the paths of rules that
    deny, or that name networks or client certificates.
    """
    application = settings.applications[name]
    if application.preflight == "pass":
        config = {**unasked(), COOKIES: pack(bodiless())}
        match = bare(application.path_prefix)
        match.headers = [*match.headers, *outside_closed_paths(application)]
        yield forwarding(settings, name, f"{name}:{PREFLIGHT}", match, config, public=True)
