"""TLS of Envoy: its listener, and its connections to applications and the processor.

Envoy verifies a certificate only against an authority that its configuration names. Certificates,
keys and authorities come by SDS, because Envoy reads files that a static TLS context names once and
never again (`secrets.py`).
"""

import ipaddress
from pathlib import Path
from urllib.parse import SplitResult

from envoy_data_plane.envoy.config.core.v3 import (
    ApiVersion,
    ConfigSource,
    PathConfigSource,
    TransportSocket,
    WatchedDirectory,
)
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    CommonTlsContextCombinedCertificateValidationContext,
    DownstreamTlsContext,
    SdsSecretConfig,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)

from extproc.envoyconfig.builders import exact, pack
from extproc.settings import ListenTLS, Settings

# The names of the secrets.
GATEWAY = "gateway"
CLIENT_AUTHORITIES = "client-authorities"
TO_PROCESSOR = "to-processor"
PROCESSOR_AUTHORITIES = "processor-authorities"
TRACING_AUTHORITIES = "tracing-authorities"


def application_authorities(name: str) -> str:
    """The name of the secret with the authorities of an application's upstream."""
    return f"application-{name}-authorities"


def listener_tls(settings: Settings) -> TransportSocket:
    """TLS of the gateway's listener, by the certificate of `gateway.tls`."""
    tls = DownstreamTlsContext(require_client_certificate=False)
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        tls_certificate_sds_secret_configs=[_secret(settings, GATEWAY)],
        alpn_protocols=["h2", "http/1.1"],
    )
    if settings.gateway.client_ca_file is not None:
        # A client that shows a certificate that these did not issue gets no connection.
        context.validation_context_sds_secret_config = _secret(settings, CLIENT_AUTHORITIES)
        # Envoy looks at the certificate in a full handshake alone: a resumed session would outlive
        # it, and has no alternative names.
        tls.disable_stateless_session_resumption = True
        tls.disable_stateful_session_resumption = True
    tls.common_tls_context = context
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(tls))


def upstream_tls(
    settings: Settings, url: SplitResult, authorities: str, *, http2: bool = False
) -> TransportSocket:
    """TLS to an upstream, whose certificate and name Envoy verifies.

    Args:
        settings: the settings, for the place of the secrets.
        url: the upstream.
        authorities: the name of the secret with its authorities.
        http2: the upstream speaks HTTP/2.
    """
    host = url.hostname or ""
    kind = SubjectAltNameMatcherSanType.DNS
    if is_ip(host):
        kind = SubjectAltNameMatcherSanType.IP_ADDRESS
    name = SubjectAltNameMatcher(san_type=kind, matcher=exact(host))
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        alpn_protocols=["h2" if http2 else "http/1.1"],
        combined_validation_context=_validation(settings, authorities, name),
    )
    tls = UpstreamTlsContext(common_tls_context=context, sni="" if is_ip(host) else host)
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(tls))


def processor_tls(settings: Settings, tls: ListenTLS) -> TransportSocket:
    """Mutual TLS to the processor: Envoy verifies its certificate and name, and shows its own."""
    name = SubjectAltNameMatcher(san_type=SubjectAltNameMatcherSanType.DNS, matcher=exact(tls.name))
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        alpn_protocols=["h2"],
        tls_certificate_sds_secret_configs=[_secret(settings, TO_PROCESSOR)],
        combined_validation_context=_validation(settings, PROCESSOR_AUTHORITIES, name),
    )
    return TransportSocket(
        name="envoy.transport_sockets.tls",
        typed_config=pack(UpstreamTlsContext(common_tls_context=context, sni=tls.name)),
    )


def _validation(
    settings: Settings, authorities: str, name: SubjectAltNameMatcher
) -> CommonTlsContextCombinedCertificateValidationContext:
    """The authorities of a secret, and the one name that a certificate must have."""
    return CommonTlsContextCombinedCertificateValidationContext(
        default_validation_context=CertificateValidationContext(
            match_typed_subject_alt_names=[name]
        ),
        validation_context_sds_secret_config=_secret(settings, authorities),
    )


def _secret(settings: Settings, name: str) -> SdsSecretConfig:
    """Where Envoy finds a secret: in a file of its own, because Envoy takes one from each."""
    directory = settings.gateway.sds_directory
    source = PathConfigSource(
        path=str(secret_path(settings, name)),
        watched_directory=WatchedDirectory(path=str(directory)),
    )
    config = ConfigSource(path_config_source=source, resource_api_version=ApiVersion.V3)
    return SdsSecretConfig(name=name, sds_config=config)


def secret_path(settings: Settings, name: str) -> Path:
    """The file of a secret."""
    return settings.gateway.sds_directory / f"{name}.yaml"


def is_ip(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
