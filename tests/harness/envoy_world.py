"""The fixtures of tests/envoy: for each Envoy version, an upstream, a stub processor, a key server,
and gateways in front of them.
"""

import contextlib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from extproc.core.session import SessionId
from extproc.envoyconfig import to_yaml, write_secret_files
from extproc.settings import Settings
from harness.certificates import Authority
from harness.envoy import EnvoyProcess, envoys
from harness.envoy_parts import SESSION, Asked, Client, Keys, Stub, Upstream, assertion, settings
from harness.ports import free_port


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running Envoy, its settings, and a client of it."""

    settings: Settings
    client: Client
    envoy: EnvoyProcess

    def assertion(
        self,
        name: str,
        session: SessionId = SESSION,
        audiences: Sequence[str] = (),
        **headers: str,
    ) -> str:
        """The cookie of a valid assertion. Envoy ignores it without its session's cookie."""
        token = assertion(self.settings, name, session=session, audiences=audiences, **headers)
        return f"{self._prefix(name)}assertion-{name}={token}"

    def session(self, name: str, session: SessionId = SESSION) -> str:
        """A session's cookie."""
        return f"{self._prefix(name)}session-{name}={session.cookie}"

    def cookie(
        self,
        name: str,
        session: SessionId = SESSION,
        audiences: Sequence[str] = (),
        **headers: str,
    ) -> str:
        """The cookies of a session and of a valid assertion."""
        asserted = self.assertion(name, session, audiences, **headers)
        return f"{self.session(name, session)}; {asserted}"

    def _prefix(self, name: str) -> str:
        return "__Host-extproc-" if self.settings.url(name).startswith("https") else "extproc-"

    def access_log(self) -> str:
        return Path(self.settings.gateway.access_log).read_text()


@dataclass(frozen=True, slots=True)
class World:
    """What all gateways of one Envoy version share."""

    envoy: Path
    directory: Path
    upstream: Upstream
    stub: Stub
    keys: Keys
    authority: Authority
    certificate: Path
    key: Path

    @contextlib.contextmanager
    def gateway(
        self, name: str, applications: dict[str, object], *, tls: bool = False, **changes: object
    ) -> Iterator[Gateway]:
        """An Envoy with these applications. Its processor is the stub, unless `listen` is changed."""
        port = free_port()
        directory = self.directory / name
        directory.mkdir()
        gateway: dict[str, object] = {
            "listen": f"127.0.0.1:{port}",
            "url": f"{'https' if tls else 'http'}://app.test:{port}",
            "access_log": str(directory / "access.log"),
            "keys": [f"127.0.0.1:{self.keys.port}"],
            "sds_directory": str(directory / "sds"),
        }
        gateway |= (
            {"tls": {"certificate": str(self.certificate), "key": str(self.key)}} if tls else {}
        )
        gateway |= changes.pop("gateway", {})  # type: ignore[call-overload]
        made = settings(
            **{
                "listen": f"127.0.0.1:{self.stub.port}",
                "gateway": gateway,
                "applications": applications,
                **changes,
            }
        )
        context = self.authority.context() if tls else None
        write_secret_files(made)
        with EnvoyProcess(
            to_yaml(made), envoy=self.envoy, port=port, directory=directory
        ) as process:
            yield Gateway(made, Client(port, tls=context), process)


@pytest.fixture(scope="session", params=list(envoys()))
def envoy(request: pytest.FixtureRequest) -> Path:
    return envoys()[request.param]


@pytest.fixture(scope="session")
def world(envoy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("dataplane")
    authority = Authority()
    certificate, key = directory / "cert.pem", directory / "key.pem"
    authority.issue("app.test", "other.test", "127.0.0.1", certificate=certificate, key=key)
    with Upstream() as upstream, Stub() as stub, Keys() as keys:
        yield World(envoy, directory, upstream, stub, keys, authority, certificate, key)


def application(upstream: str, host: str = "app.test", **more: object) -> dict[str, object]:
    return {
        "hosts": [host],
        "upstream": upstream,
        **({} if more.get("exclude") else {"provider": "main"}),
        **more,
    }


@pytest.fixture(scope="session")
def plain(world: World) -> Iterator[Gateway]:
    """A gateway of http: two applications with a login and two excluded ones, three on one host."""
    url = world.upstream.url
    applications: dict[str, object] = {
        "main": application(url, public_paths=["/public/", "/robots.txt"]),
        "wiki": application(url, path_prefix="/wiki/", public_paths=["/wiki/pub/"]),
        "assets": application(url, path_prefix="/assets/", exclude=True),
        "idp": application(url, "idp.test", exclude=True),
    }
    with world.gateway("plain", applications) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def tls(world: World) -> Iterator[Gateway]:
    """A gateway of https: redirect, HSTS, https upstreams, an application that keeps escaped
    slashes, and one on every host.
    """
    ca, certificate, key = (
        world.directory / name for name in ("up-ca.pem", "up-cert.pem", "up-key.pem")
    )
    ca.write_bytes(world.authority.pem)
    world.authority.issue("127.0.0.1", certificate=certificate, key=key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    redirect = free_port()
    with Upstream(context) as secure:
        kept = {
            "escaped_slashes": "keep",
            "upstream_ca_file": str(ca),
            "public_paths": ["/git/pub/"],
        }
        localhost = secure.url.replace("127.0.0.1", "localhost")
        applications: dict[str, object] = {
            "main": application(world.upstream.url, public_paths=["/public/"]),
            "git": application(secure.url, path_prefix="/git/", **kept),
            "wrong": application(localhost, path_prefix="/wrong/", upstream_ca_file=str(ca)),
            "foreign": application(secure.url, path_prefix="/foreign/"),
            "every": application(world.upstream.url, "*", path_prefix="/every/"),
            "mine": application(
                world.upstream.url, "other.test", path_prefix="/every/", exclude=True
            ),
        }
        gateway = {"redirect_listen": f"127.0.0.1:{redirect}", "hsts": 3600}
        with world.gateway("tls", applications, tls=True, gateway=gateway) as made:
            yield made


@pytest.fixture
def asked(world: World) -> list[Asked]:
    """The streams that this test causes, and no others."""
    world.stub.asked.clear()
    world.upstream.received.clear()
    return world.stub.asked
