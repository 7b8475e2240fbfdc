"""Who gets in where the processor listens: access rights of a unix socket, mutual TLS on TCP, plain
TCP for the rest (loopback).

With mutual TLS a certificate of the authority is not enough: it is often a whole cluster's, so the
name in it has to be Envoy's. The processor's own certificate is read again when its file has
changed; one that cannot be used leaves the old one, and is logged.
"""

import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import grpc
from cryptography import x509

from extproc import telemetry
from extproc._wire import ext_proc_pb2 as wire
from extproc.addresses import Address
from extproc.settings import ListenTLS

Context = grpc.aio.ServicerContext[wire.ProcessingRequest, wire.ProcessingResponse]


class CannotListen(Exception):
    """The address cannot be had; its text is for the operator."""


@dataclass(frozen=True, slots=True)
class Door:
    """An address to listen on. mode: a unix socket's access rights."""

    address: Address
    tls: ListenTLS | None = None
    mode: int = 0o660

    def bind(self, server: grpc.aio.Server) -> int:
        """The port that it has; 0 for a unix socket. Raises CannotListen."""
        # the socket is made with its rights: changed later, it would have been everybody's for a
        # moment
        before = os.umask(0o777 & ~self.mode) if self.address.path is not None else None
        try:
            if self.tls is None:
                return int(server.add_insecure_port(str(self.address)))
            return int(
                server.add_secure_port(str(self.address), _Certificates(self.tls).credentials())
            )
        except RuntimeError:
            raise CannotListen(
                f"listen: {self.address} cannot be bound; is another program using it?"
            ) from None
        finally:
            if before is not None:
                os.umask(before)

    def admits(self, context: Context) -> bool:
        """Whether the other side of a stream is Envoy, as far as its certificate can say so."""
        return self.tls is None or self.tls.envoy_name.encode() in _names(context)


def _names(context: Context) -> frozenset[bytes]:
    said = context.auth_context()
    return frozenset(said.get("x509_subject_alternative_name", ()))


class _Certificates:
    """The files of listen_tls, as grpc takes them."""

    def __init__(self, tls: ListenTLS) -> None:
        self._tls = tls
        self._seen = self._stamp()
        try:
            self._first = self._read()
        except (OSError, ValueError) as error:
            raise CannotListen(f"listen_tls: {error}") from error

    def credentials(self) -> grpc.ServerCredentials:
        # None is allowed (its own documentation), and the stubs do not know it
        fetch = cast(Callable[[], grpc.ServerCertificateConfiguration], self._changed)
        return grpc.dynamic_ssl_server_credentials(
            self._first, fetch, require_client_authentication=True
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Asked by grpc before each handshake, in a thread of its own; None: as it was."""
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        self._seen = stamp
        try:
            return self._read()
        except (OSError, ValueError) as error:
            telemetry.log(logging.ERROR, "certificate_refused", detail=str(error))
            return None

    def _stamp(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in (self._tls.ca, self._tls.certificate, self._tls.key):
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return tuple(found)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        """Raises OSError, ValueError: grpc would take anything, and then refuse every handshake in
        silence.
        """
        tls = self._tls
        try:
            x509.load_pem_x509_certificates(tls.ca.read_bytes())
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key)
        except OSError as error:  # ssl.SSLError is one
            where = error.filename or f"{tls.certificate} and {tls.key}"
            raise ValueError(f"{where}: {error.strerror or error}") from error
        except ValueError as error:
            raise ValueError(f"{tls.ca} holds no PEM certificates") from error
        pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
        return grpc.ssl_server_certificate_configuration(
            [pair], root_certificates=tls.ca.read_bytes()
        )
