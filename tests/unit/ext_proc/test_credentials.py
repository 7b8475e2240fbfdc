"""Who may connect: the mode of a unix socket, and certificates that are read again."""

import asyncio
import os
import stat

import grpc
import pytest
from harness.certificates import Authority

from extproc.addresses import Address
from extproc.ext_proc.credentials import CannotListen, ListenAddress
from extproc.settings import ListenTLS


@pytest.fixture(scope="module")
def authority():
    return Authority("the processor's")


@pytest.fixture
def tls(tmp_path, authority):
    paths = {name: tmp_path / f"{name}.pem" for name in ("ca", "certificate", "key")}
    paths["ca"].write_bytes(authority.pem)
    authority.issue("extproc", certificate=paths["certificate"], key=paths["key"])
    return ListenTLS(**paths, envoy_certificate=paths["certificate"], envoy_key=paths["key"])


def bound(address):
    """The port that a server gets at the address."""

    async def main():
        server = grpc.aio.server()
        try:
            return address.bind(server)
        finally:
            await server.stop(0)

    return asyncio.run(main())


@pytest.mark.parametrize("mode", [0o660, 0o600])
def test_a_unix_socket_has_its_mode_whatever_the_umask_and_leaves_the_umask(tmp_path, mode):
    path = tmp_path / "extproc.sock"
    modes = []

    async def main():
        server = grpc.aio.server()
        assert ListenAddress(Address(path=str(path)), mode=mode).bind(server) in (0, 1)
        modes.append(stat.S_IMODE(path.stat().st_mode))
        await server.stop(0)

    before = os.umask(0)
    try:
        asyncio.run(main())
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert modes == [mode]


def test_a_tcp_port_is_told(tls):
    address = Address(host="127.0.0.1", port=0)
    assert bound(ListenAddress(address)) > 0
    assert bound(ListenAddress(address, tls)) > 0


class Peer:
    """The context of a stream whose peer has a certificate with these names."""

    def __init__(self, *names):
        self._names = [name.encode() for name in names]

    def auth_context(self):
        return {"x509_subject_alternative_name": self._names} if self._names else {}


def test_only_envoy_s_name_is_admitted_where_certificates_are_asked_for(tls):
    address = Address(host="127.0.0.1", port=0)
    listen = ListenAddress(address, tls)
    assert listen.admits(Peer("other", tls.envoy_name))
    assert not listen.admits(Peer("other", f"x{tls.envoy_name}"))
    assert not listen.admits(Peer())
    assert ListenAddress(address).admits(Peer())


@pytest.mark.parametrize("name", ["ca", "certificate", "key"])
@pytest.mark.parametrize(
    "content",
    [None, b"", b"no certificate", "/dev/zero", "."],
    ids=["gone", "empty", "other", "endless", "directory"],
)
def test_files_that_cannot_be_used_are_named_before_anything_is_bound(tls, name, content):
    path = getattr(tls, name)
    path.unlink()
    if isinstance(content, str):
        path.symlink_to(content)
    elif content is not None:
        path.write_bytes(content)
    # OpenSSL reads certificate and key together, and says nothing of which is wrong.
    together = isinstance(content, bytes) and name != "ca"
    with pytest.raises(
        CannotListen, match="^listen_tls: " if together else rf"^listen_tls\.{name}: "
    ) as caught:
        bound(ListenAddress(Address(host="127.0.0.1", port=0), tls))
    assert str(path.parent) in str(caught.value)
