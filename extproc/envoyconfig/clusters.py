"""The clusters, where Envoy sends requests: applications, processor, key servers, span receiver."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

from envoy_data_plane.envoy.config.cluster.v3 import (
    CircuitBreakers,
    CircuitBreakersThresholds,
    Cluster,
    ClusterCommonLbConfig,
    ClusterDiscoveryType,
    ClusterDnsLookupFamily,
    ClusterLbPolicy,
)
from envoy_data_plane.envoy.config.core.v3 import (
    Address,
    HealthCheck,
    HealthCheckGrpcHealthCheck,
    Http1ProtocolOptions,
    Http2ProtocolOptions,
    KeepaliveSettings,
    Pipe,
    SocketAddress,
)
from envoy_data_plane.envoy.config.core.v3 import HttpProtocolOptions as HttpOptions
from envoy_data_plane.envoy.config.endpoint.v3 import (
    ClusterLoadAssignment,
    Endpoint,
    LbEndpoint,
    LocalityLbEndpoints,
)
from envoy_data_plane.envoy.extensions.upstreams.http.v3 import (
    HttpProtocolOptions,
    HttpProtocolOptionsExplicitHttpConfig,
)
from envoy_data_plane.envoy.type.v3 import Percent

from extproc.addresses import Address as Where
from extproc.addresses import http_target, reachable
from extproc.envoyconfig.builders import pack, seconds
from extproc.envoyconfig.filters.jwt_authn import KEYS, key_servers
from extproc.envoyconfig.tls import (
    TRACING_AUTHORITIES,
    application_authorities,
    is_ip,
    processor_tls,
    upstream_tls,
)
from extproc.settings import Settings

PROCESSOR = "processor"
TRACING = "tracing"
STREAMS_PER_CONNECTION = 1000
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Room for streams that are being refused, however low the limit is.
_REFUSED_STREAMS = 1000
_CHECK_INTERVAL = 1.0  # seconds between health checks
# Seconds of silence from a processor, after which Envoy sends a ping along with a request.
_SILENCE = 1.0
# Seconds that Envoy keeps an idle connection to an application, span receiver or key server.
_IDLE_TIMEOUT = 1.5
# WebSockets and event streams count as long as they last.
_APPLICATION_REQUESTS = 50_000


def application_cluster(name: str) -> str:
    """The name of an application's cluster. The prefix keeps an application that is called
    `processor` apart from the processor.
    """
    return f"application-{name}"


def clusters(settings: Settings) -> list[Cluster]:
    """All clusters: applications first, in their order."""
    result = [
        *(_application(settings, name) for name in settings.applications),
        _processor(settings),
        _tracing(settings),
    ]
    servers = key_servers(settings)
    if servers:
        keys = _cluster(KEYS, servers, connect=0.5)
        keys.typed_extension_protocol_options = _protocol(_http1())
        result.append(keys)
    return result


def processors(settings: Settings) -> tuple[Where, ...]:
    """The addresses of the processor, one for each worker process.

    Workers do not share an address, because SO_REUSEPORT balances connections, of which Envoy opens
    few, and not streams.
    """
    return settings.gateway.processors or tuple(reachable(listen) for listen in settings.listens)


def traces_url(settings: Settings) -> str:
    """The URL for Envoy's spans, OTLP over HTTP."""
    base = settings.tracing.endpoint or http_target(str(reachable(settings.admin)))[0]
    return base.rstrip("/") + "/v1/traces"


def _application(settings: Settings, name: str) -> Cluster:
    application = settings.applications[name]
    url = urlsplit(application.upstream)
    cluster = _cluster(application_cluster(name), (_address_of(url),), connect=5)
    cluster.circuit_breakers = _breakers(
        requests=_APPLICATION_REQUESTS, connections=_APPLICATION_REQUESTS
    )
    protocol = _http1()
    if application.upstream_http2:
        protocol = HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=Http2ProtocolOptions()
        )
    cluster.typed_extension_protocol_options = _protocol(protocol)
    if url.scheme == "https":
        cluster.transport_socket = upstream_tls(
            settings, url, application_authorities(name), http2=application.upstream_http2
        )
    return cluster


def _http1() -> HttpProtocolOptionsExplicitHttpConfig:
    return HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions())


def _protocol(protocol: HttpProtocolOptionsExplicitHttpConfig) -> dict[str, Any]:
    """The options of a cluster that speaks a protocol, and whose idle connections Envoy closes.

    Node, uvicorn, gunicorn and hypercorn close an idle connection after 2 to 5 s. Envoy closes it
    earlier, because a request that it has begun to send at that moment is lost: Envoy retries only
    requests that it has not begun to send.
    """
    idle = HttpOptions(idle_timeout=seconds(_IDLE_TIMEOUT))
    return {
        _HTTP_OPTIONS: pack(
            HttpProtocolOptions(explicit_http_config=protocol, common_http_protocol_options=idle)
        )
    }


def _processor(settings: Settings) -> Cluster:
    cluster = _cluster(PROCESSOR, processors(settings), connect=0.5)
    cluster.lb_policy = ClusterLbPolicy.LEAST_REQUEST
    cluster.circuit_breakers = _processor_breakers(settings)
    # With one or two endpoints, the default of 50 % would send requests to dead ones.
    cluster.common_lb_config = ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=0))
    if len(processors(settings)) > 1:
        cluster.health_checks = [_health_check(settings)]
        # By default Envoy merges changes of health within 1 s, and in that time keeps sending
        # requests to a worker that has reported NOT_SERVING.
        cluster.common_lb_config.update_merge_window = seconds(0)
    if settings.listen_tls:
        cluster.transport_socket = processor_tls(settings, settings.listen_tls)
    cluster.typed_extension_protocol_options = {
        _HTTP_OPTIONS: pack(
            HttpProtocolOptions(
                explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
                    http2_protocol_options=_processor_http2(settings)
                )
            )
        )
    }
    return cluster


def _processor_breakers(settings: Settings) -> CircuitBreakers:
    """Limits that only bound the cost of a dead processor.

    A live processor refuses surplus requests itself, with a 503 that has Retry-After, before it
    consumes anything. So Envoy has room for the streams of all processors, for those on their way
    to a refusal, and for live streams, which are held for hours.
    """
    live = 0
    if any(application.end_streams for application in settings.applications.values()):
        live = settings.limits.live
    each = 2 * settings.limits.streams + live + _REFUSED_STREAMS
    streams = each * len(processors(settings))
    connections = max(1000, streams // STREAMS_PER_CONNECTION)
    return _breakers(requests=streams, connections=connections, retries=100)


def _processor_http2(settings: Settings) -> Http2ProtocolOptions:
    """HTTP/2 with a ping after a pause, whose missing answer closes the connection.

    Otherwise a connection that a middlebox has forgotten stays open for a quarter of an hour, and
    every request on it waits in vain.
    """
    return Http2ProtocolOptions(
        max_concurrent_streams=STREAMS_PER_CONNECTION,
        connection_keepalive=KeepaliveSettings(
            connection_idle_interval=seconds(_SILENCE), timeout=seconds(settings.timeouts.message)
        ),
    )


def _health_check(settings: Settings) -> HealthCheck:
    """Takes a worker that is draining (ext_proc/health.py), or dead, out of the rotation.

    By grpc.health.v1, a worker is out immediately after NOT_SERVING or a refused connection, and
    after a late answer only once its requests would time out as well. A single processor has no
    checks, because Envoy has no other to call, and without checks calls it again as soon as it is
    back.
    """
    every = seconds(_CHECK_INTERVAL)
    return HealthCheck(
        timeout=seconds(settings.timeouts.message),
        interval=every,
        unhealthy_interval=every,
        # The default is 60 s, but a gateway may have no traffic when its workers are replaced.
        no_traffic_interval=every,
        no_traffic_healthy_interval=every,
        unhealthy_threshold=1,
        healthy_threshold=1,
        grpc_health_check=HealthCheckGrpcHealthCheck(),
    )


def _tracing(settings: Settings) -> Cluster:
    url = urlsplit(traces_url(settings))
    receiver = _address_of(url)
    if settings.tracing.endpoint is None:
        receiver = reachable(settings.admin)
    cluster = _cluster(TRACING, (receiver,), connect=1)
    cluster.typed_extension_protocol_options = _protocol(_http1())
    if url.scheme == "https":
        cluster.transport_socket = upstream_tls(settings, url, TRACING_AUTHORITIES)
    return cluster


def _address_of(url: SplitResult) -> Where:
    return Where(host=url.hostname or "", port=url.port or (443 if url.scheme == "https" else 80))


def _cluster(name: str, addresses: Sequence[Where], *, connect: float) -> Cluster:
    """A cluster whose names, if it has any, Envoy resolves.

    Args:
        name: the cluster's name.
        addresses: its endpoints.
        connect: seconds for a connection.
    """
    endpoints = [LbEndpoint(endpoint=Endpoint(address=address(each))) for each in addresses]
    cluster = Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(connect),
        load_assignment=ClusterLoadAssignment(
            cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
        ),
    )
    if any(each.path is None and not is_ip(_host(each)) for each in addresses):
        cluster.type = ClusterDiscoveryType.STRICT_DNS
        cluster.dns_lookup_family = ClusterDnsLookupFamily.V4_PREFERRED
    return cluster


def address(where: Where, mode: int = 0) -> Address:
    """An address of the settings as Envoy has it.

    mode: the access rights of a unix socket on which Envoy listens.
    """
    if where.path is not None:
        return Address(pipe=Pipe(path=where.path, mode=mode))
    return Address(socket_address=SocketAddress(address=_host(where), port_value=where.port))


def _host(where: Where) -> str:
    """The host; localhost needs no resolver (RFC 6761 section 6.3)."""
    if where.host == "localhost" or where.host.endswith(".localhost"):
        return "127.0.0.1"
    return where.host


def _breakers(*, requests: int, connections: int, retries: int = 3) -> CircuitBreakers:
    limits = CircuitBreakersThresholds(
        max_connections=connections,
        max_pending_requests=requests,
        max_requests=requests,
        max_retries=retries,
    )
    return CircuitBreakers(thresholds=[limits])
