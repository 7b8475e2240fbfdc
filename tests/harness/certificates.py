"""A certificate authority for one test."""

import base64
import datetime
import hashlib
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Authority:
    """A self-signed authority, valid for a day, that issues certificates of servers and clients."""

    def __init__(self, name: str = "extproc test authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        builder = builder.add_extension(_usage(certificates=True), critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        self._certificate = builder.add_extension(identifier, critical=False).sign(
            self._key, hashes.SHA256()
        )
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names: str, certificate: Path, key: Path, client: bool = False) -> str:
        """Write a certificate for these host names and addresses, and its key, as PEM files.

        Args:
            client: The certificate is good for clients as well.

        Returns:
            The SHA-256 of its public key in base64, for Chromium's option
            --ignore-certificate-errors-spki-list.
        """
        usages = [
            ExtendedKeyUsageOID.SERVER_AUTH,
            *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else []),
        ]
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(subject, own.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.SubjectAlternativeName([_name(name) for name in names]), critical=False
            )
            .add_extension(authority, critical=False)
        )
        certificate.write_bytes(
            builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        key.touch(mode=0o600)
        key.write_bytes(_private(own))
        der, information = (
            serialization.Encoding.DER,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        return base64.b64encode(
            hashlib.sha256(own.public_key().public_bytes(der, information)).digest()
        ).decode()

    def issue_client(
        self,
        file: Path,
        subject: x509.Name,
        *sans: x509.GeneralName,
        hours: tuple[float, float] = (-1, 24),
        usages: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
        own: bool = False,
    ) -> Path:
        """Write a client's certificate and its key into one PEM file, and return the file.

        Args:
            file: the file.
            subject: of the certificate; may be empty.
            sans: its alternative names.
            hours: from now, between which it is valid.
            usages: what it is good for; none: everything.
            own: it is signed by its own key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(subject, key.public_key(), subject if own else None, hours)
        if sans:
            names = x509.SubjectAlternativeName(sans)
            builder = builder.add_extension(names, critical=not subject.rdns)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        signed = builder.sign(key if own else self._key, hashes.SHA256())
        file.touch(mode=0o600)
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + _private(key))
        return file

    def context(self) -> ssl.SSLContext:
        """A client's TLS context that trusts only this authority."""
        return ssl.create_default_context(cadata=self.pem.decode())

    def _builder(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        issuer: x509.Name | None = None,
        hours: tuple[float, float] = (-1, 24),
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        begin, end = (now + datetime.timedelta(hours=each) for each in hours)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, pkcs8, serialization.NoEncryption())


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
