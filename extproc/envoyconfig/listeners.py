"""The listeners: the gateway itself, and the plain http one that redirects to https."""

from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.core.v3 import (
    CidrRange,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    SchemeHeaderTransformation,
    TransportSocket,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener, ListenerFilter
from envoy_data_plane.envoy.config.route.v3 import (
    RedirectAction,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.listener.http_inspector.v3 import HttpInspector
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerForwardClientCertDetails,
    HttpConnectionManagerInternalAddressConfig,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpConnectionManagerUpgradeConfig,
    HttpFilter,
)

from extproc.addresses import Address as Where
from extproc.addresses import bracketed
from extproc.envoyconfig.access_log import access_logs
from extproc.envoyconfig.builders import header, pack, seconds
from extproc.envoyconfig.clusters import address
from extproc.envoyconfig.direct import EVERYTHING, SAFE, direct, no_trace
from extproc.envoyconfig.filters.chain import filters
from extproc.envoyconfig.filters.client_address import client_address
from extproc.envoyconfig.filters.header_mutation import clean
from extproc.envoyconfig.local_reply import local_replies
from extproc.envoyconfig.tls import listener_tls
from extproc.envoyconfig.tracing import tracing
from extproc.envoyconfig.virtual_hosts import hosts, route_configuration
from extproc.settings import Settings

# Bytes that a connection may hold in memory in each direction.
_BUFFER = 1 << 17
# Seconds that a new connection may be silent: until the TLS handshake is done, or without TLS until
# the first line of a request. Envoy has a limit of connections for all addresses together
# (bootstrap.py) and none for each, so idle ones must not stay for long.
_SILENT = 10
# Seconds between two requests of a connection. A load balancer in front keeps its own idle
# connections, for up to 600 s, and a request that crosses Envoy's end of one is lost.
_IDLE = 75
_IDLE_BEHIND_PROXY = 900
# Kilobytes that Envoy reads beyond the bound that lua_cookies.py enforces. Envoy itself answers a
# head that it cannot read without a page, in HTTP/2 by a reset, and a browser whose cookies a
# neighbouring host made too many would be locked out for as long as they live.
_ROOM_FOR_A_PAGE = 36
# In HTTP/2, browsers send each cookie as a header of its own (a crumb), and newer Envoys count
# them; Chromium keeps some 180 cookies for a domain. With a low limit, an attacker who plants many
# small cookies locks users out.
_HEADERS_COUNT = 400
# Seconds that a connection may last where clients show certificates: Envoy verifies one when a
# connection begins, and it may expire, or its authority be replaced, while the connection lasts.
_CERTIFICATE_KEPT = 3600
_REDIRECT_KEPT = 3600  # seconds that a browser may keep the redirect to https


def listeners(settings: Settings) -> list[Listener]:
    """The gateway's listener, and with redirect_listen the one that redirects to it."""
    tls = listener_tls(settings) if settings.gateway.tls else None
    result = [_listener("gateway", settings.gateway.listen, _gateway(settings), tls)]
    if settings.gateway.redirect_listen is not None:
        result.append(
            _listener("redirect", settings.gateway.redirect_listen, _redirect(settings), None)
        )
    return result


def _listener(
    name: str, where: Where, manager: HttpConnectionManager, tls: TransportSocket | None
) -> Listener:
    """A listener with one filter chain.

    Args:
        name: the listener's name.
        where: its address.
        manager: its HTTP connection manager.
        tls: its TLS; None: plain http.
    """
    http = Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))
    chain = FilterChain(filters=[http], transport_socket=tls)
    listener = Listener(
        name=name,
        address=address(where),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=_BUFFER,
    )
    if tls:
        chain.transport_socket_connect_timeout = seconds(_SILENT)
    else:
        # It waits for the first line of the first request, and closes a connection without one.
        inspector = pack(HttpInspector())
        name = "envoy.filters.listener.http_inspector"
        listener.listener_filters = [ListenerFilter(name=name, typed_config=inspector)]
        listener.listener_filters_timeout = seconds(_SILENT)
    return listener


def _hardened(settings: Settings, name: str, scheme: str) -> HttpConnectionManager:
    """The settings of every listener: limits, and one reading of paths and headers.

    Args:
        settings: the settings.
        name: the listener's name.
        scheme: what every request's `:scheme` becomes; a client of HTTP/2 can write any there.
    """
    asks_certificates = settings.gateway.client_ca_file is not None
    return HttpConnectionManager(
        stat_prefix=name,
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=seconds(_IDLE_BEHIND_PROXY if settings.gateway.trusted_hops else _IDLE),
            max_connection_duration=seconds(_CERTIFICATE_KEPT) if asks_certificates else None,
            max_headers_count=_HEADERS_COUNT,
            # WSGI, CGI and PHP read x_auth_sub as X-Auth-Sub.
            headers_with_underscores_action=HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST,
        ),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=100,
            initial_stream_window_size=1 << 18,
            initial_connection_window_size=1 << 20,
        ),
        max_request_headers_kb=settings.gateway.max_request_headers_kb + _ROOM_FOR_A_PAGE,
        request_headers_timeout=seconds(10),
        stream_idle_timeout=seconds(300),
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        use_remote_address=True,
        xff_num_trusted_hops=settings.gateway.trusted_hops,
        early_header_mutation_extensions=client_address(settings),
        # No client is internal, so Envoy drops x-envoy-* headers of every client.
        internal_address_config=HttpConnectionManagerInternalAddressConfig(
            cidr_ranges=[CidrRange(address_prefix="255.255.255.255", prefix_len=32)]
        ),
        http1_safe_max_connection_duration=asks_certificates,
        forward_client_cert_details=HttpConnectionManagerForwardClientCertDetails.SANITIZE,
        generate_request_id=True,
        scheme_header_transformation=SchemeHeaderTransformation(scheme_to_overwrite=scheme),
        normalize_path=True,
        merge_slashes=True,
        access_log=access_logs(settings),
        local_reply_config=local_replies(settings, secure=scheme == "https"),
    )


def _gateway(settings: Settings) -> HttpConnectionManager:
    manager = _hardened(settings, "gateway", urlsplit(settings.gateway.url).scheme)
    # Routes refuse them, for each application: where the listener does, there is neither a request
    # id nor a span by which an operator could find the request.
    manager.path_with_escaped_slashes_action = (
        HttpConnectionManagerPathWithEscapedSlashesAction.KEEP_UNCHANGED
    )
    manager.upgrade_configs = [HttpConnectionManagerUpgradeConfig(upgrade_type="websocket")]
    manager.tracing = tracing(settings)
    manager.route_config = route_configuration(settings)
    manager.early_header_mutation_extensions += clean(settings)
    manager.http_filters = filters(settings)
    return manager


def _redirect(settings: Settings) -> HttpConnectionManager:
    """301 to https: to the requested host if an application lists it, otherwise to gateway.url."""
    url = urlsplit(settings.gateway.url)
    listed = hosts(settings)
    manager = _hardened(settings, "redirect", "http")
    if "*" in listed:
        virtual_hosts = [_to_https(":listed", ["*"], url.port, "")]
    else:
        virtual_hosts = [
            _to_https(":canonical", ["*"], url.port, bracketed(url.hostname or "")),
            _to_https(":listed", listed, url.port, ""),
        ]
    manager.route_config = RouteConfiguration(
        name="redirect", virtual_hosts=virtual_hosts, ignore_port_in_host_matching=True
    )
    manager.http_filters = [
        HttpFilter(name="router", typed_config=pack(Router(suppress_envoy_headers=True)))
    ]
    return manager


def _to_https(name: str, domains: list[str], port: int | None, host: str) -> VirtualHost:
    """A virtual host that redirects GET and HEAD to https, and refuses every other method.

    What a form holds has crossed the network in clear text by then, and a redirect would hide that
    from the person who can mend it. The redirect may be kept for an hour only, because browsers
    would keep it for ever, also after gateway.url has moved.

    Args:
        name: its name, and its route's.
        domains: the hosts that it serves.
        port: the https port; None: 443.
        host: the host of the redirect; '': the requested one.
    """
    redirect = RedirectAction(https_redirect=True, port_redirect=port or 443, host_redirect=host)
    answers = [
        no_trace(),
        Route(
            name=name,
            match=RouteMatch(prefix="/", headers=[SAFE]),
            redirect=redirect,
            response_headers_to_add=[header("cache-control", f"max-age={_REDIRECT_KEPT}")],
        ),
        direct(":https-only", EVERYTHING, 403, "This address is for https only."),
    ]
    for route in answers:
        # There is none of the gateway's filters on this listener.
        route.typed_per_filter_config = {}
    return VirtualHost(name=name, domains=domains, routes=answers)
