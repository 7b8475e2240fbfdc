"""Checks the PEM files that the settings name: present, readable, fitting together, and how long
their certificates last.

Envoy starts without a certificate that comes by SDS, and then refuses every connection, so these
findings are the only word about it before users notice.
"""

import datetime
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PublicKeyTypes,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from extproc.checks.findings import Finding, error, ok, warning
from extproc.settings import Settings
from extproc.settings.files import PEM_LIMIT, read_file, require_regular
from extproc.settings.redis import RedisSettings
from extproc.settings.store import CookieSettings

# A certificate ends soon when a quarter of its life is left, and at most so much: authorities renew
# one of 90 days 30 days before its end, and one of 6 days after 4.
_SOON = datetime.timedelta(days=21)
_SOON_SHARE = 4


@dataclass(frozen=True, slots=True)
class _File:
    """A PEM file by its key in the settings.

    Attributes:
        by_envoy: Envoy reads it, perhaps on another machine.
        again: its reader reads it again when it changes.
    """

    part: str
    path: Path
    by_envoy: bool = False
    again: bool = True


def check_certificates(settings: Settings, now: datetime.datetime) -> Iterator[Finding]:
    """Findings about each certificate, key and authority that the settings name.

    Args:
        settings: the settings.
        now: the time, with its zone.
    """
    for certificate, key in _pairs(settings):
        yield from _check_pair(settings, certificate, key, now)
    for authorities in _authorities(settings):
        chain = yield from _read_certificates(settings, authorities)
        yield from _ends(authorities, chain, now)


def endless_for_envoy(settings: Settings) -> str | None:
    """The key of a file that Envoy's validation must not read, because it is a pipe, a device or
    far too large; None if there is none. A file that is missing is left to Envoy.
    """
    pairs = (file for pair in _pairs(settings) for file in pair)
    for file in (*pairs, *_authorities(settings)):
        try:
            require_regular(file.path, PEM_LIMIT)
        except (FileNotFoundError, PermissionError):
            continue
        except OSError:
            return file.part
    return None


def _pairs(settings: Settings) -> Iterator[tuple[_File, _File]]:
    gateway, listen = settings.gateway.tls, settings.listen_tls
    if gateway is not None:
        yield (
            _File("gateway.tls.certificate", gateway.certificate, by_envoy=True),
            _File("gateway.tls.key", gateway.key, by_envoy=True),
        )
    if listen is not None:
        yield (
            _File("listen_tls.certificate", listen.certificate),
            _File("listen_tls.key", listen.key),
        )
        yield (
            _File("listen_tls.envoy_certificate", listen.envoy_certificate, by_envoy=True),
            _File("listen_tls.envoy_key", listen.envoy_key, by_envoy=True),
        )


def _authorities(settings: Settings) -> Iterator[_File]:
    if settings.gateway.client_ca_file is not None:
        yield _File("gateway.tls.client_ca_file", settings.gateway.client_ca_file, by_envoy=True)
    if settings.listen_tls is not None:
        yield _File("listen_tls.ca", settings.listen_tls.ca)
    for name, application in settings.applications.items():
        if application.upstream_ca_file is not None:
            part = f"applications.{name}.upstream_ca_file"
            yield _File(part, application.upstream_ca_file, by_envoy=True)
    for name, provider in settings.providers.items():
        if provider.ca_file is not None:
            yield _File(f"providers.{name}.ca_file", provider.ca_file, again=False)
    store = settings.store
    if store.kind == "redis" and store.ca_file is not None:
        yield _File("store.ca_file", store.ca_file, again=False)
    tombstones = store.tombstones if isinstance(store, CookieSettings) else None
    if isinstance(tombstones, RedisSettings) and tombstones.ca_file is not None:
        yield _File("store.tombstones.ca_file", tombstones.ca_file, again=False)


def _check_pair(
    settings: Settings, certificate: _File, key: _File, now: datetime.datetime
) -> Iterator[Finding]:
    """Findings about a certificate chain and its key.

    Args:
        settings: the settings that name both.
        certificate: the file of the chain, the leaf first.
        key: the file of the key.
        now: the time.
    """
    chain = yield from _read_certificates(settings, certificate)
    yield from _ends(certificate, chain, now)
    data = yield from _read(settings, key)
    if data is None:
        return
    try:
        own = _public(load_pem_private_key(data, password=None).public_key())
        certified = _public(chain[0].public_key()) if chain else own
    except UnsupportedAlgorithm:
        yield warning(
            key.part,
            f"the key of {key.path} or of {certificate.path} is of a kind that cannot be looked at "
            "here",
            "see that the two fit together, and that their reader knows keys of this kind",
        )
        return
    except (ValueError, TypeError):
        yield error(
            key.part,
            f"{key.path} holds no private key in PEM without a password",
            "name the file that begins with -----BEGIN PRIVATE KEY-----",
        )
        return
    if certified != own:
        yield error(
            key.part,
            f"{key.path} is not the key of the first certificate in {certificate.path}",
            "name the key that the certificate was issued for; the leaf comes first in a chain",
        )


def _public(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.DER, form)


def _read(settings: Settings, file: _File) -> Generator[Finding, None, bytes | None]:
    """The content of a file, as the generator's value; None after a finding."""
    try:
        return read_file(file.path, PEM_LIMIT)
    except OSError as problem:
        what = f"{file.path} cannot be read here ({problem.strerror})"
        if isinstance(problem, FileNotFoundError):
            what = f"{file.path} does not exist"
        elsewhere = file.by_envoy and bool(settings.gateway.processors)
        if elsewhere or isinstance(problem, PermissionError):
            yield warning(file.part, what, "ignore this if it is so on the machine that reads it")
        else:
            yield error(
                file.part,
                what,
                "correct the path, which is relative to the working "
                "directory, or put the file there",
            )
    return None


def _read_certificates(
    settings: Settings, file: _File
) -> Generator[Finding, None, list[x509.Certificate]]:
    """The certificates of a file, as the generator's value; none after a finding."""
    data = yield from _read(settings, file)
    if data is None:
        return []
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        yield error(
            file.part,
            f"{file.path} holds no certificate in PEM",
            "name the file that begins with -----BEGIN CERTIFICATE-----",
        )
        return []


def _ends(file: _File, chain: list[x509.Certificate], now: datetime.datetime) -> Iterator[Finding]:
    """A finding about the certificate of a file that ends first.

    An authority of several may end without harm, because the others verify in its place.
    """
    if not chain:
        return
    first = min(chain, key=lambda each: each.not_valid_after_utc)
    end = first.not_valid_after_utc
    about = f"{file.path}: the certificate {_subject(first)}"
    renew = "replace it, and restart the processor"
    if file.again:
        renew = "put a new one in its place by a rename (mv): it is read again without a restart"
    if end <= now:
        report = warning if file.part.endswith(("ca", "ca_file")) and len(chain) > 1 else error
        yield report(file.part, f"{about} expired on {_date(end)}", renew)
    elif first.not_valid_before_utc > now:
        begin = _date(first.not_valid_before_utc)
        yield error(
            file.part,
            f"{about} is not valid before {begin}",
            "correct this machine's clock, or wait",
        )
    elif end - now < min(_SOON, (end - first.not_valid_before_utc) / _SOON_SHARE):
        yield warning(file.part, f"{about} expires on {_date(end)}, in {_left(end - now)}", renew)
    else:
        yield ok(file.part, f"{file.path} is valid until {_date(end)}")


def _subject(certificate: x509.Certificate) -> str:
    """The subject for the operator's terminal: printable and not long."""
    return ascii(certificate.subject.rfc4514_string()[:100]).strip("'") or "without a name"


def _date(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _left(time: datetime.timedelta) -> str:
    days, hours = time.days, time.seconds // 3600
    if days:
        return f"{days} days"
    return f"{hours} hours" if hours else "less than an hour"
