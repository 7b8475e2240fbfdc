"""Where Envoy sends requests: the applications, the processor, the receiver of spans."""

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
from extproc.addresses import reachable
from extproc.envoyconfig.builders import pack, seconds
from extproc.envoyconfig.filters.jwt_authn import KEYS, key_servers
from extproc.envoyconfig.tls import is_ip, processor_tls, upstream_tls
from extproc.settings import ApplicationSettings, Settings

PROCESSOR = "processor"
TRACING = "tracing"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
STREAMS_PER_CONNECTION = 1000
_ROOM = 1000  # streams that are being refused, however low the limit is
_CHECK = 1.0  # seconds between health checks
_PAUSE = 1.0  # seconds without a word from a processor, after which a request is sent with a ping
# seconds Envoy keeps an idle connection to an application, the receiver of spans or the keys'
# server
_KEEP = 1.5
_APPLICATION_REQUESTS = 50_000  # WebSockets and event streams count as long as they last


def application_cluster(name: str) -> str:
    """The cluster of an application; a prefix of its own, so that no application can be called
    `processor`.
    """
    return f"application-{name}"


def clusters(settings: Settings) -> list[Cluster]:
    made = [_application(name, application) for name, application in settings.applications.items()]
    made.append(_processor(settings))
    made.append(_tracing(settings))
    if servers := key_servers(settings):
        keys = _cluster(KEYS, servers, connect=0.5)
        keys.typed_extension_protocol_options = _spoken(_http1())
        made.append(keys)
    return made


def processors(settings: Settings) -> tuple[Where, ...]:
    """One endpoint a worker process: SO_REUSEPORT balances connections, of which Envoy opens few,
    not streams.
    """
    return settings.gateway.processors or tuple(reachable(listen) for listen in settings.listens)


def traces_url(settings: Settings) -> str:
    """Where Envoy's spans go: OTLP over HTTP."""
    base = settings.tracing.endpoint or f"http://{reachable(settings.admin)}"
    return base.rstrip("/") + "/v1/traces"


def _application(name: str, application: ApplicationSettings) -> Cluster:
    url = urlsplit(application.upstream)
    https = url.scheme == "https"
    cluster = _cluster(application_cluster(name), (_place(url),), connect=5)
    cluster.circuit_breakers = _breakers(
        requests=_APPLICATION_REQUESTS, connections=_APPLICATION_REQUESTS
    )
    http2 = HttpProtocolOptionsExplicitHttpConfig(http2_protocol_options=Http2ProtocolOptions())
    cluster.typed_extension_protocol_options = _spoken(
        http2 if application.upstream_http2 else _http1()
    )
    cluster.transport_socket = (
        upstream_tls(url, application.upstream_ca_file, http2=application.upstream_http2)
        if https
        else None
    )
    return cluster


def _http1() -> HttpProtocolOptionsExplicitHttpConfig:
    return HttpProtocolOptionsExplicitHttpConfig(http_protocol_options=Http1ProtocolOptions())


def _spoken(protocol: HttpProtocolOptionsExplicitHttpConfig) -> dict[str, Any]:
    """The options of a cluster that speaks this protocol, and whose idle connections Envoy closes
    first.

    Node, uvicorn, gunicorn and hypercorn close an idle connection after 2 to 5 s; what Envoy had
    begun to send at that moment is lost, because Envoy sends again only what it had not begun to
    send.
    """
    idle = HttpOptions(idle_timeout=seconds(_KEEP))
    return {
        _HTTP_OPTIONS: pack(
            HttpProtocolOptions(explicit_http_config=protocol, common_http_protocol_options=idle)
        )
    }


def _processor(settings: Settings) -> Cluster:
    cluster = _cluster(PROCESSOR, processors(settings), connect=0.5)
    cluster.lb_policy = ClusterLbPolicy.LEAST_REQUEST
    # the processor answers 503 itself, before it consumes anything, and says when to come again:
    # Envoy's limit, for what is at all processors or on its way to be refused, only bounds what a
    # dead one costs (live streams, which are held for hours, are on top)
    live = settings.limits.live if any(a.end_streams for a in settings.applications.values()) else 0
    streams = (2 * settings.limits.streams + live + _ROOM) * len(processors(settings))
    connections = max(1000, streams // STREAMS_PER_CONNECTION)
    cluster.circuit_breakers = _breakers(requests=streams, connections=connections, retries=100)
    # with one or two endpoints the default (50 %) would send to dead ones
    cluster.common_lb_config = ClusterCommonLbConfig(healthy_panic_threshold=Percent(value=0))
    if len(processors(settings)) > 1:
        cluster.health_checks = [_health_check(settings)]
        # within 1 s of another change Envoy would keep a worker's word to itself, and go on sending
        # to one that is leaving
        cluster.common_lb_config.update_merge_window = seconds(0)
    cluster.transport_socket = processor_tls(settings.listen_tls) if settings.listen_tls else None
    # a connection that something on the way forgot stays silent for a quarter of an hour, and every
    # request goes to it: so whoever asks after a pause sends a ping as well, and what answers
    # nothing for as long as it may be waited for is given up
    alive = KeepaliveSettings(
        connection_idle_interval=seconds(_PAUSE), timeout=seconds(settings.timeouts.message)
    )
    http2 = Http2ProtocolOptions(
        max_concurrent_streams=STREAMS_PER_CONNECTION, connection_keepalive=alive
    )
    cluster.typed_extension_protocol_options = {
        _HTTP_OPTIONS: pack(
            HttpProtocolOptions(
                explicit_http_config=HttpProtocolOptionsExplicitHttpConfig(
                    http2_protocol_options=http2
                )
            )
        )
    }
    return cluster


def _health_check(settings: Settings) -> HealthCheck:
    """How a worker that is about to go is left in time (ext_proc/servicer.py, `leave`), and one
    that is dead is passed over.

    grpc.health.v1: NOT_SERVING counts at once, and so does a refused connection; one that only
    answers late is not out before it would be too late for its requests as well. With a single
    processor there is nobody else to call, and without checks it is called again as soon as it is
    back.
    """
    every = seconds(_CHECK)
    return HealthCheck(
        timeout=seconds(settings.timeouts.message),
        interval=every,
        unhealthy_interval=every,
        # 60 s otherwise: a gateway may have no traffic when its workers roll
        no_traffic_interval=every,
        no_traffic_healthy_interval=every,
        unhealthy_threshold=1,
        healthy_threshold=1,
        grpc_health_check=HealthCheckGrpcHealthCheck(),
    )


def _tracing(settings: Settings) -> Cluster:
    url = urlsplit(traces_url(settings))
    cluster = _cluster(TRACING, (_place(url),), connect=1)
    cluster.typed_extension_protocol_options = _spoken(_http1())
    cluster.transport_socket = upstream_tls(url, None) if url.scheme == "https" else None
    return cluster


def _place(url: SplitResult) -> Where:
    return Where(host=url.hostname or "", port=url.port or (443 if url.scheme == "https" else 80))


def _cluster(name: str, places: Sequence[Where], *, connect: float) -> Cluster:
    endpoints = [LbEndpoint(endpoint=Endpoint(address=address(place))) for place in places]
    cluster = Cluster(
        name=name,
        type=ClusterDiscoveryType.STATIC,
        connect_timeout=seconds(connect),
        load_assignment=ClusterLoadAssignment(
            cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=endpoints)]
        ),
    )
    if any(place.path is None and not is_ip(_host(place)) for place in places):
        cluster.type = ClusterDiscoveryType.STRICT_DNS
        cluster.dns_lookup_family = ClusterDnsLookupFamily.V4_PREFERRED
    return cluster


def address(place: Where) -> Address:
    if place.path is not None:
        return Address(pipe=Pipe(path=place.path))
    return Address(socket_address=SocketAddress(address=_host(place), port_value=place.port))


def _host(place: Where) -> str:
    """localhost needs no resolver (RFC 6761 section 6.3)."""
    return (
        "127.0.0.1"
        if place.host == "localhost" or place.host.endswith(".localhost")
        else place.host
    )


def _breakers(*, requests: int, connections: int, retries: int = 3) -> CircuitBreakers:
    limits = CircuitBreakersThresholds(
        max_connections=connections,
        max_pending_requests=requests,
        max_requests=requests,
        max_retries=retries,
    )
    return CircuitBreakers(thresholds=[limits])
