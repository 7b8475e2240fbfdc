"""TLS from Envoy to applications and the processor. Envoy verifies a certificate only against an
authority that its configuration names.
"""

import ipaddress
import ssl
from pathlib import Path
from urllib.parse import SplitResult

from envoy_data_plane.envoy.config.core.v3 import TransportSocket
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    CommonTlsContext,
    SubjectAltNameMatcher,
    SubjectAltNameMatcherSanType,
    TlsCertificate,
    TlsParameters,
    TlsParametersTlsProtocol,
    UpstreamTlsContext,
)

from extproc.envoyconfig.builders import exact, file, pack
from extproc.settings import ListenTLS

_AUTHORITIES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
)


def upstream_tls(url: SplitResult, ca_file: Path | None, *, http2: bool = False) -> TransportSocket:
    """TLS to an upstream, whose certificate and name Envoy verifies.

    Args:
        url: the upstream.
        ca_file: its authority; None: the system's authorities.
        http2: the upstream speaks HTTP/2.
    """
    host = url.hostname or ""
    kind = SubjectAltNameMatcherSanType.DNS
    if is_ip(host):
        kind = SubjectAltNameMatcherSanType.IP_ADDRESS
    validation = CertificateValidationContext(
        trusted_ca=file(ca_file or _system_authorities()),
        match_typed_subject_alt_names=[SubjectAltNameMatcher(san_type=kind, matcher=exact(host))],
    )
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        alpn_protocols=["h2" if http2 else "http/1.1"],
        validation_context=validation,
    )
    tls = UpstreamTlsContext(common_tls_context=context, sni="" if is_ip(host) else host)
    return TransportSocket(name="envoy.transport_sockets.tls", typed_config=pack(tls))


def processor_tls(tls: ListenTLS) -> TransportSocket:
    """Mutual TLS to the processor: Envoy verifies its certificate and name, and shows its own."""
    validation = CertificateValidationContext(
        trusted_ca=file(tls.ca),
        match_typed_subject_alt_names=[
            SubjectAltNameMatcher(
                san_type=SubjectAltNameMatcherSanType.DNS, matcher=exact(tls.name)
            )
        ],
    )
    context = CommonTlsContext(
        tls_params=TlsParameters(tls_minimum_protocol_version=TlsParametersTlsProtocol.TLSv1_2),
        alpn_protocols=["h2"],
        tls_certificates=[
            TlsCertificate(
                certificate_chain=file(tls.envoy_certificate), private_key=file(tls.envoy_key)
            )
        ],
        validation_context=validation,
    )
    return TransportSocket(
        name="envoy.transport_sockets.tls",
        typed_config=pack(UpstreamTlsContext(common_tls_context=context, sni=tls.name)),
    )


def _system_authorities() -> str:
    """The authorities of this machine. Without any, the path that Debian has, so that Envoy reports
    a missing file.
    """
    for path in (ssl.get_default_verify_paths().cafile, *_AUTHORITIES):
        if path and Path(path).is_file():
            return path
    return _AUTHORITIES[0]


def is_ip(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
