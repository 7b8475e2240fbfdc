"""What a route of an application has: where it forwards to, and the configuration of the filters on
it.
"""

from envoy_data_plane.envoy.config.core.v3 import HeaderValue, Metadata
from envoy_data_plane.envoy.config.route.v3 import (
    Decorator,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
)
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import (
    ExtProcOverrides,
    ExtProcPerRoute,
    ProcessingMode,
    ProcessingModeBodySendMode,
    ProcessingModeHeaderSendMode,
)
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import PerRouteConfig
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
from extproc.envoyconfig.builders import pack, seconds
from extproc.envoyconfig.clusters import application_cluster
from extproc.envoyconfig.filters.chain import ASSERTION, COOKIES, CORS, DECIDE, LIMIT
from extproc.envoyconfig.filters.cors import policy
from extproc.envoyconfig.filters.ext_proc import processing_mode
from extproc.envoyconfig.filters.jwt_authn import asserted, requirement_name
from extproc.envoyconfig.filters.local_ratelimit import unlimited
from extproc.envoyconfig.filters.lua_cookies import keeping
from extproc.envoyconfig.response_headers import added, taken
from extproc.envoyconfig.rules import RuleRoute
from extproc.settings import Settings
from extproc.settings.domain_access import access
from extproc.settings.fingerprint import fingerprint

# Seconds without a byte in either direction: a WebSocket without pings, a stream of rare events.
_IDLE_TIMEOUT = 3600
# Requests of which the upstream got nothing.
_RETRIES = RetryPolicy(
    retry_on="connect-failure,refused-stream,reset-before-request", num_retries=1
)


def forwarding(
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
        metadata=route_metadata(name),
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


def route_metadata(name: str) -> Metadata:
    """The route's application, for the access log."""
    return Metadata(filter_metadata={NAMESPACE: Struct.from_dict({APPLICATION_KEY: name})})


def filter_config(
    settings: Settings,
    name: str,
    *,
    public: bool = False,
    route: RuleRoute | None = None,
    by_session: bool = True,
) -> dict[str, Any]:
    """The filter configuration of a route on which the processor decides.

    Args:
        settings: the settings of all applications.
        name: the application.
        public: the paths need no login.
        route: the rules of its requests; None: no rule has them.
        by_session: a session may decide, and so an assertion of it.
    """
    config = {DECIDE: processor_config(settings, name, public=public, route=route)}
    if public:
        config[LIMIT] = unlimited()
    if by_session and name in asserted(settings):
        requirement = requirement_name(name, *_rules_of(route))
        config[ASSERTION] = pack(PerRouteConfig(requirement_name=requirement))
    return config


def _rules_of(route: RuleRoute | None) -> tuple[str, str]:
    """The names of the rule and of the rule in shadow mode of a route, each "" for none."""
    if route is None:
        return "", ""
    rule, shadow = route.rule, route.shadow
    return rule.name if rule is not None else "", shadow.name if shadow is not None else ""


def processor_config(
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
