"""The listeners: the gateway itself, and the plain http one that sends everybody to https."""

from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.core.v3 import (
    CidrRange,
    Http2ProtocolOptions,
    HttpProtocolOptions,
    HttpProtocolOptionsHeadersWithUnderscoresAction,
    TransportSocket,
)
from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.config.route.v3 import (
    RedirectAction,
    Route,
    RouteConfiguration,
    RouteMatch,
    VirtualHost,
)
from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpConnectionManagerInternalAddressConfig,
    HttpConnectionManagerPathWithEscapedSlashesAction,
    HttpConnectionManagerServerHeaderTransformation,
    HttpConnectionManagerUpgradeConfig,
    HttpFilter,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CommonTlsContext,
    DownstreamTlsContext,
    TlsCertificate,
    TlsParameters,
    TlsParametersTlsProtocol,
)

from extproc.addresses import Address as Where
from extproc.envoyconfig.access_log import access_log
from extproc.envoyconfig.builders import file, pack, seconds
from extproc.envoyconfig.clusters import address
from extproc.envoyconfig.filters.chain import clean, filters
from extproc.envoyconfig.local_reply import local_replies
from extproc.envoyconfig.routes import hosts, keeps_escaped_slashes, route_configuration
from extproc.envoyconfig.tracing import tracing
from extproc.settings import TLS, Settings

_BUFFER = 1 << 17  # bytes a connection may hold in memory each way
# Browsers send each cookie as a header of its own in HTTP/2 (a crumb), which Envoy counts from some
# release on; Chromium keeps some 180 for a domain. With too few, whoever plants many small ones
# locks everybody out.
_HEADERS_COUNT = 400


def listeners(settings: Settings) -> list[Listener]:
    """The gateway, and with redirect_listen the way to it."""
    made = [_listener("gateway", settings.gateway.listen, _gateway(settings), settings.gateway.tls)]
    if settings.gateway.redirect_listen is not None:
        made.append(
            _listener("redirect", settings.gateway.redirect_listen, _redirect(settings), None)
        )
    return made


def _listener(name: str, where: Where, manager: HttpConnectionManager, tls: TLS | None) -> Listener:
    http = Filter(name="envoy.filters.network.http_connection_manager", typed_config=pack(manager))
    chain = FilterChain(filters=[http], transport_socket=_tls(tls) if tls else None)
    if tls:
        chain.transport_socket_connect_timeout = seconds(10)
    return Listener(
        name=name,
        address=address(where),
        filter_chains=[chain],
        per_connection_buffer_limit_bytes=_BUFFER,
    )


def _hardened(settings: Settings, name: str) -> HttpConnectionManager:
    """What holds for every listener: limits, and paths and headers that mean one thing only."""
    return HttpConnectionManager(
        stat_prefix=name,
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=seconds(900),
            max_headers_count=_HEADERS_COUNT,
            # x_auth_sub is X-Auth-Sub to WSGI, CGI and PHP
            headers_with_underscores_action=HttpProtocolOptionsHeadersWithUnderscoresAction.REJECT_REQUEST,
        ),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=100,
            initial_stream_window_size=1 << 18,
            initial_connection_window_size=1 << 20,
        ),
        max_request_headers_kb=settings.gateway.max_request_headers_kb,
        request_headers_timeout=seconds(10),
        stream_idle_timeout=seconds(300),
        server_header_transformation=HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH,
        use_remote_address=True,
        xff_num_trusted_hops=settings.gateway.trusted_hops,
        # nobody is internal: x-envoy-* of a client is dropped, wherever it comes from
        internal_address_config=HttpConnectionManagerInternalAddressConfig(
            cidr_ranges=[CidrRange(address_prefix="255.255.255.255", prefix_len=32)]
        ),
        generate_request_id=True,
        normalize_path=True,
        merge_slashes=True,
        access_log=[access_log(settings.gateway.access_log)],
    )


def _gateway(settings: Settings) -> HttpConnectionManager:
    slashes = HttpConnectionManagerPathWithEscapedSlashesAction
    manager = _hardened(settings, "gateway")
    # one for all applications: with keep, the routes of the others refuse them
    manager.path_with_escaped_slashes_action = (
        slashes.KEEP_UNCHANGED if keeps_escaped_slashes(settings) else slashes.REJECT_REQUEST
    )
    manager.upgrade_configs = [HttpConnectionManagerUpgradeConfig(upgrade_type="websocket")]
    manager.tracing = tracing(settings)
    manager.local_reply_config = local_replies(settings)
    manager.route_config = route_configuration(settings)
    manager.early_header_mutation_extensions = clean(settings)
    manager.http_filters = filters(settings)
    return manager


def _redirect(settings: Settings) -> HttpConnectionManager:
    """301 to https: on the host asked for where an application lists it, else on gateway.url."""
    url = urlsplit(settings.gateway.url)
    listed = hosts(settings)
    manager = _hardened(settings, "redirect")
    virtual_hosts = (
        [] if "*" in listed else [_to_https("canonical", ["*"], url.port, url.hostname or "")]
    )
    virtual_hosts.append(_to_https("listed", ["*"] if "*" in listed else listed, url.port, ""))
    manager.route_config = RouteConfiguration(
        name="redirect", virtual_hosts=virtual_hosts, ignore_port_in_host_matching=True
    )
    manager.http_filters = [
        HttpFilter(name="router", typed_config=pack(Router(suppress_envoy_headers=True)))
    ]
    return manager


def _to_https(name: str, domains: list[str], port: int | None, host: str) -> VirtualHost:
    redirect = RedirectAction(https_redirect=True, port_redirect=port or 443, host_redirect=host)
    return VirtualHost(
        name=name,
        domains=domains,
        routes=[Route(name=name, match=RouteMatch(prefix="/"), redirect=redirect)],
    )


def _tls(tls: TLS) -> TransportSocket:
    certificate = TlsCertificate(certificate_chain=file(tls.certificate), private_key=file(tls.key))
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        tls_certificates=[certificate],
        alpn_protocols=["h2", "http/1.1"],
    )
    return TransportSocket(
        name="envoy.transport_sockets.tls",
        typed_config=pack(DownstreamTlsContext(common_tls_context=context)),
    )
