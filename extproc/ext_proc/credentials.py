"""Access to the gRPC listener: the mode of a unix socket, mutual TLS on TCP, or plain TCP on
loopback.

With mutual TLS a certificate of the authority is not enough, because the authority is often that of
a whole cluster: the name in the certificate has to be Envoy's. The processor's own certificate is
read again when its file has changed. A certificate that cannot be used is logged, and the old one
stays in use.
"""

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from cryptography import x509

from extproc import telemetry
from extproc.addresses import Address
from extproc.ext_proc.context import Context
from extproc.settings import ListenTLS
from extproc.settings.files import PEM_LIMIT, read_file


class CannotListen(Exception):
    """The address cannot be bound, or its certificates cannot be used. The text is for the
    operator.
    """


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An address to listen on, and who may connect to it."""

    address: Address
    # None: no certificate is asked for
    tls: ListenTLS | None = None
    # the access rights of a unix socket
    mode: int = 0o660

    def bind(self, server: grpc.aio.Server) -> int:
        """Bind the address and return its port, or 0 for a unix socket. Raises CannotListen."""
        if self.address.path is None:
            return self._bind(server)
        # the socket is made with its rights: if they were changed later, any user could connect
        # in between
        before = os.umask(0o777 & ~self.mode)
        try:
            return self._bind(server)
        finally:
            os.umask(before)

    def _bind(self, server: grpc.aio.Server) -> int:
        address = str(self.address)
        try:
            if self.tls is None:
                return int(server.add_insecure_port(address))
            return int(server.add_secure_port(address, _Certificates(self.tls).credentials()))
        except RuntimeError:
            raise CannotListen(
                f"listen: {self.address} cannot be bound; is another program using it?"
            ) from None

    def admits(self, context: Context) -> bool:
        """True if the peer of a stream has Envoy's certificate, or if none is asked for."""
        return self.tls is None or self.tls.envoy_name.encode() in _names(context)


def _names(context: Context) -> frozenset[bytes]:
    """The subject alternative names of the peer's certificate."""
    return frozenset(context.auth_context().get("x509_subject_alternative_name", ()))


class _Certificates:
    """grpc's credentials from the files of listen_tls. Raises CannotListen."""

    def __init__(self, tls: ListenTLS) -> None:
        self._tls = tls
        self._seen = self._stamp()
        try:
            self._first = self._read()
        except ValueError as error:
            raise CannotListen(str(error)) from error

    def credentials(self) -> grpc.ServerCredentials:
        # grpc's documentation allows None, and its type stubs do not
        fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], self._changed)
        return grpc.dynamic_ssl_server_credentials(
            self._first, fetch, require_client_authentication=True
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new configuration, or None if no file has changed. grpc calls this before each
        handshake, in a thread of its own.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        try:
            return self._read()
        except ValueError as error:
            telemetry.log(logging.ERROR, "certificate_refused", detail=str(error))
            return None

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        """A value that changes with the files: time, inode and size of each that exists."""
        stamps = []
        for path in (self._tls.ca, self._tls.certificate, self._tls.key):
            try:
                stat = path.stat()
            except OSError:
                continue
            stamps.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return tuple(stamps)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        """Read and check the files. Raises ValueError, whose text is for the operator.

        grpc would accept files of any content, and then refuse every handshake in silence.
        """
        tls = self._tls
        authorities = _content("listen_tls.ca", tls.ca)
        pair = (
            _content("listen_tls.key", tls.key),
            _content("listen_tls.certificate", tls.certificate),
        )
        try:
            x509.load_pem_x509_certificates(authorities)
        except ValueError:
            raise ValueError(f"listen_tls.ca: {tls.ca} holds no certificate in PEM") from None
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
        except OSError as error:  # ssl.SSLError is one
            raise ValueError(
                f"listen_tls: {tls.certificate} and {tls.key} are not a certificate in PEM and its "
                f"key ({error.strerror or error})"
            ) from error
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=authorities)


def _content(key: str, path: Path) -> bytes:
    """The content of a PEM file. Raises ValueError, whose text is for the operator."""
    try:
        return read_file(path, PEM_LIMIT)
    except OSError as error:
        raise ValueError(f"{key}: {path}: {error.strerror or 'cannot be read'}") from None
