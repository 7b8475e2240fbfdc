"""Replaced certificates, keys and authorities: Envoy uses them without a restart."""

import os
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from harness.certificates import Authority
from harness.envoy import oldest
from harness.envoy_parts import Asked, Client, Upstream
from harness.envoy_world import Gateway, World, application
from harness.ports import free_port
from harness.processes import wait_until

HOST = "app.test"


def shown(gateway: Gateway) -> int:
    """The serial number of the certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", gateway.client.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as stream,
    ):
        der = stream.getpeercert(binary_form=True)
    assert der is not None
    return x509.load_der_x509_certificate(der).serial_number


def serial(certificate: Path) -> int:
    return x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number


def renamed(new: Path, directory: Path) -> None:
    """As Ansible, acme clients and `install` with `mv` do: certificate and key one after another."""
    for name in ("tls.crt", "tls.key"):
        shutil.copy(new / name, directory / f".{name}.new")
        (directory / f".{name}.new").rename(directory / name)


def swapped(new: Path, directory: Path) -> None:
    """As a Kubernetes volume does: ..data, to which all files lead, is replaced by a rename."""
    (directory / "..data_tmp").symlink_to(new)
    (directory / "..data_tmp").rename(directory / "..data")


def relinked_and_marked(new: Path, directory: Path) -> None:
    """As certbot does, which Envoy does not notice; then a rename in the directory, as docs/envoy.md
    has it for a hook.
    """
    for name in ("tls.crt", "tls.key"):
        (directory / name).unlink()
        (directory / name).symlink_to(new / name)
    (directory / ".renewed").touch()
    (directory / ".renewed").rename(directory / "renewed")


@contextmanager
def served(world: World, name: str, tmp_path: Path) -> Iterator[tuple[Gateway, Path, Path]]:
    """A gateway of https, the directory that its files are in, and another pair of files."""
    old, new, files = (tmp_path / each for each in ("old", "new", "tls"))
    for directory in (old, new, files):
        directory.mkdir()
    for directory in (old, new):
        certificate, key = directory / "tls.crt", directory / "tls.key"
        world.authority.issue(HOST, certificate=certificate, key=key)
    (files / "..data").symlink_to(old)
    for file in ("tls.crt", "tls.key"):
        (files / file).symlink_to(Path("..data") / file)
    tls = {"certificate": str(files / "tls.crt"), "key": str(files / "tls.key")}
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    with world.gateway(name, applications, tls=True, gateway={"tls": tls}) as gateway:
        yield gateway, files, new


@pytest.mark.parametrize("replace", [renamed, swapped, relinked_and_marked])
def test_a_replaced_certificate_is_shown_to_the_next_connection(
    world: World,
    asked: list[Asked],
    tmp_path: Path,
    replace: Callable[[Path, Path], None],
) -> None:
    with served(world, replace.__name__, tmp_path) as (gateway, files, new):
        assert shown(gateway) == serial(tmp_path / "old" / "tls.crt")
        replace(new, files)
        expected = serial(new / "tls.crt")
        wait_until(lambda: shown(gateway) == expected, 60, "the new certificate")
        assert gateway.client.get("/").status == 303


def test_a_bad_certificate_replaces_nothing(
    world: World, asked: list[Asked], tmp_path: Path
) -> None:
    with served(world, "bad-certificate", tmp_path) as (gateway, files, new):
        bad = tmp_path / "bad"
        shutil.copytree(new, bad)
        (bad / "tls.crt").write_text("nonsense")
        renamed(bad, files)
        wait_until(
            lambda: "Failed to reload" in gateway.envoy.log.read_text(), 60, "Envoy's refusal"
        )
        assert shown(gateway) == serial(tmp_path / "old" / "tls.crt")
        renamed(new, files)
        wait_until(lambda: shown(gateway) == serial(new / "tls.crt"), 60, "the new certificate")


def test_a_gateway_without_its_certificate_begins_once_it_is_there(
    world: World, asked: list[Asked], tmp_path: Path
) -> None:
    """An operator may start Envoy before the certificate is issued. Envoy 1.36 closes connections
    until it is restarted (docs/envoy.md).
    """
    files = tmp_path / "tls"
    files.mkdir()
    tls = {"certificate": str(files / "tls.crt"), "key": str(files / "tls.key")}
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    with world.gateway("no-certificate", applications, tls=True, gateway={"tls": tls}) as gateway:
        with pytest.raises((ssl.SSLError, OSError)):
            shown(gateway)
        if world.envoy == oldest():
            return
        new = tmp_path / "new"
        new.mkdir()
        world.authority.issue(HOST, certificate=new / "tls.crt", key=new / "tls.key")
        renamed(new, files)

        def works() -> bool:
            with suppress(ssl.SSLError, OSError):
                return shown(gateway) == serial(new / "tls.crt")
            return False

        wait_until(works, 60, "the certificate")


def test_a_replaced_authority_verifies_the_next_connection_to_an_application(
    world: World, asked: list[Asked], tmp_path: Path
) -> None:
    ca, certificate, key = (tmp_path / name for name in ("ca.pem", "up.crt", "up.key"))
    ca.write_bytes(world.authority.pem)
    another = Authority("another")
    another.issue("127.0.0.1", certificate=certificate, key=key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with Upstream(context) as secure:
        applications: dict[str, object] = {
            "main": application(secure.url, upstream_ca_file=str(ca), exclude=True)
        }
        with world.gateway("authority", applications) as gateway:
            assert gateway.client.get("/").status == 503
            (tmp_path / "new.pem").write_bytes(another.pem)
            (tmp_path / "new.pem").rename(ca)
            wait_until(lambda: gateway.client.get("/").status == 200, 60, "the new authority")


class Processor:
    """Stands where the processor listens, and notes the certificates of those who connect."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.port = free_port()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def show(self, authority: Authority, directory: Path) -> None:
        """From the next connection on: a certificate of this authority, and trust in it."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cadata=authority.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        context.set_alpn_protocols(["h2"])
        certificate, key = directory / "processor.crt", directory / "processor.key"
        authority.issue("extproc", certificate=certificate, key=key)
        context.load_cert_chain(certificate, key)
        self.context = context

    def run(self) -> None:
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    connection.settimeout(30)
                    self._greet(connection)

    def _greet(self, connection: socket.socket) -> None:
        with self.context.wrap_socket(connection, server_side=True) as stream:
            der = stream.getpeercert(binary_form=True)
            if der is not None:
                self.seen.append(x509.load_der_x509_certificate(der).serial_number)


def test_the_certificates_between_envoy_and_the_processor_are_replaced_too(
    world: World, tmp_path: Path
) -> None:
    """Both sides move to another authority, so Envoy has to read all three of its files again."""
    processor, first, second = Processor(), Authority("first"), Authority("second")
    files, new = tmp_path / "files", tmp_path / "new"
    for directory, authority in ((files, first), (new, second)):
        directory.mkdir()
        (directory / "ca.pem").write_bytes(authority.pem)
        certificate, key = directory / "envoy.crt", directory / "envoy.key"
        authority.issue("envoy", certificate=certificate, key=key, client=True)
    processor.show(first, tmp_path)
    threading.Thread(target=processor.run, daemon=True).start()
    names = {"envoy_certificate": "envoy.crt", "envoy_key": "envoy.key", "ca": "ca.pem"}
    listen_tls = {key: str(files / name) for key, name in names.items()}
    listen_tls |= {"certificate": "x.crt", "key": "x.key"}
    with world.gateway(
        "to-processor",
        {"main": application(world.upstream.url)},
        listen=f"127.0.0.1:{processor.port}",
        listen_tls=listen_tls,
    ) as gateway:
        client: Client = gateway.client

        def seen(certificate: Path) -> bool:
            client.get("/")
            return serial(certificate) in processor.seen

        wait_until(lambda: seen(files / "envoy.crt"), 60, "the first certificate")
        processor.show(second, tmp_path)
        for name in names.values():
            os.replace(new / name, files / name)
        wait_until(lambda: seen(files / "envoy.crt"), 60, "the second certificate")
