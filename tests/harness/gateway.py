"""A whole gateway on loopback: application, provider, `extproc serve`, and a real Envoy.

    with Stack(OidcProvider()) as stack, stack.user("alice") as user:
        page = user.go(stack.url("/private?a=1"))   # through the login and back
        page.json()["headers"]                      # what the application received (harness.echo)
        stack.app.requests                          # all that it received
        stack.access_log(lambda line: ...)          # lines of Envoy's log; waits for one like this
        stack.extproc.output()                      # the processor's log

The application `app` is on http://localhost:PORT/ (public path /public/). The provider is on
http://127.0.0.1:PORT, behind the same listener, as the excluded application `idp`. With `tls` both
are https, verified with `stack.authority`. Envoy and the processor have one worker each. `settings`
is merged into the generated settings: a mapping into a mapping, None removes a key, and a function
is called with the stack.

    Stack(FakeProvider())                           # harness.fake_provider
    Stack(OidcProvider("gateway-public"), settings={"timeouts": {"callback": 3}})
    Stack(keycloak)                                 # the shared Keycloak (fixture), with its port
    Stack(At("", upstream="http://127.0.0.1:7777"))     # another provider, behind the gateway
    Stack(At("http://127.0.0.1:7777"))                  # another provider, reached directly
    Stack(provider, envoy=found("EXTPROC_ENVOY_OLDEST", "the oldest Envoy"))

A test can stop and start parts: `stack.stop_extproc()`, `stack.kill_extproc()`,
`stack.start_extproc()`, `stack.stop_envoy()`, `stack.start_envoy()`, `stack.provider.close()`.
`stack.stat("NAME")` is one of Envoy's counters.
"""

import json
import os
import secrets
import shutil
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from extproc.addresses import Address, http_client, parse_address
from extproc.envoyconfig import to_yaml, write_secret_files
from extproc.envoyconfig.filters.jwt_authn import key_servers
from extproc.settings import load
from harness.browser import WebUser
from harness.certificates import Authority
from harness.echo import Echo
from harness.envoy import EnvoyProcess, newest
from harness.ports import free_port, free_ports
from harness.processes import Process
from harness.providers import Place, Provider
from harness.redis import PATIENT as PATIENT_STORE

ROOT = Path(__file__).parents[2]
# Long, so that a busy machine does not look like a slow provider. Tests of slow providers set
# their own.
PATIENT = {
    "connect": 10,
    "call": 30,
    "callback": 60,
    "drain": 60,
}
Line = dict[str, Any]


class Stack:
    """A gateway whose parts run from `with` to the block's end."""

    names: tuple[str, ...] = ("localhost", "127.0.0.1")  # in the certificate

    def __init__(
        self,
        provider: Provider | None = None,
        *,
        settings: Mapping[str, Any] | Callable[["Stack"], Mapping[str, Any]] | None = None,
        tls: bool = False,
        port: int | None = None,
        envoy: Path | None = None,
        env: Mapping[str, str] | None = None,
        within: Sequence[str] = (),
    ) -> None:
        """Choose ports; nothing runs before `with`.

        Args:
            settings: Merged into the generated settings; see the module's docstring.
            tls: https for the gateway, with a certificate of `authority`.
            port: Of the gateway. A free one, or the one to which the provider is bound, by default.
            envoy: Envoy's program. The newest one by default.
            env: The processor's environment, beside the test's own.
            within: Words before the processor's command, such as those of prlimit.
        """
        self.provider = provider
        self.port = port or (provider.gateway_port if provider else None) or free_port()
        self.scheme = "https" if tls else "http"
        self.gateway = f"{self.scheme}://localhost:{self.port}"
        self.origin = f"{self.scheme}://127.0.0.1:{self.port}"
        self.admin = f"http://127.0.0.1:{free_port()}"
        self.envoy_admin = f"http://127.0.0.1:{free_port()}"
        self.tls, self.authority = tls, Authority() if tls else None
        self._overrides, self._binary, self._env, self._within = (
            settings or {},
            envoy,
            dict(env or {}),
            within,
        )
        self.fingerprint = ""  # of the certificate's public key
        self._exit = ExitStack()
        self.settings: dict[str, Any] = {}

    # addresses and people

    def url(self, path: str = "/") -> str:
        """An address of the application `app`."""
        return self.gateway + path

    def user(self, name: str = "alice", password: str = "secret") -> WebUser:
        """A browser profile that trusts this gateway; close it, or use `with`."""
        return WebUser(name, password, verify=self.verify)

    @property
    def verify(self) -> ssl.SSLContext | bool:
        return self.authority.context() if self.authority else False

    # what it says

    def access_log(
        self, wanted: Callable[[Line], object] | None = None, timeout: float = 60
    ) -> list[Line]:
        """The lines of Envoy's access log.

        With `wanted`: only lines like this, of which there must be one within `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while True:
            text = self.access_log_file.read_text() if self.access_log_file.exists() else ""
            lines = [
                json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")
            ]
            if wanted is None:
                return lines
            if found := [line for line in lines if wanted(line)]:
                return found
            if time.monotonic() > end:
                raise AssertionError(
                    f"no such line in Envoy's access log after {timeout:g} s:\n{text[-3000:]}"
                )
            time.sleep(0.1)

    def stat(self, name: str) -> int:
        """One of Envoy's counters or gauges. 0 if it has none of that name."""
        text = called(self.settings["gateway"]["admin"], f"/stats?filter=^{name}$").text
        return int(text.split(": ")[1]) if ": " in text else 0

    def streams(self) -> int:
        """How many requests Envoy has sent to the processor so far."""
        return self.stat("cluster.processor.upstream_rq_total")

    def gauges(self) -> dict[str, int]:
        """What the processor's admin reports at /gauges.

        The connection is closed, because the admin keeps an idle one for some seconds with two
        tasks of its own; otherwise a test that looks often would count its own connections.
        """
        closing = {"connection": "close"}
        answer = called(self.settings["admin"], "/gauges", headers=closing)
        gauges: dict[str, int] = answer.json()
        return gauges

    def held(self) -> dict[str, int]:
        """The gauges that are 0 when no request is in progress."""
        gauges = self.gauges()
        return {name: gauges[name] for name in gauges if name.startswith("held.")} | {
            "streams": gauges["streams"]
        }

    # parts

    def start_extproc(self) -> Process:
        argv = [*self._within, sys.executable, "-m", "extproc", "serve", "--config", self.config]
        env = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **self._env}
        self.extproc = Process(
            "extproc", argv, log=self.directory / "extproc.log", env=env, cwd=self.directory
        )
        self.extproc.wait_ready(lambda: _answers(self.settings["admin"]), 30)
        # Envoy checks the health of several processors, and sends no request before it has done so.
        if len(listens := load(self.config).listens) > 1:
            known = "cluster.processor.membership_healthy"
            self.extproc.wait_ready(
                lambda: all(map(_listens, listens)) and self.stat(known) == len(listens), 60
            )
        # Until Envoy has the keys, it sends every request to the processor.
        if key_servers(load(self.config)):
            self.extproc.wait_ready(lambda: self.stat(r"http\..*jwks_fetch_success") > 0, 30)
        return self.extproc

    def stop_extproc(self, grace: float = 30) -> int:
        """Send SIGTERM, and return the exit code."""
        return self.extproc.stop(grace)

    def kill_extproc(self) -> None:
        self.extproc.kill()

    def start_envoy(self) -> EnvoyProcess:
        self._envoy = EnvoyProcess(
            self.envoy_config(),
            envoy=self._binary or envoy_program(),
            port=self.port,
            directory=self.directory,
        )
        return self._envoy.__enter__()

    def envoy_config(self) -> str:
        """The generated configuration, which a subclass may change."""
        settings = load(self.config)
        write_secret_files(settings)
        return to_yaml(settings)

    def stop_envoy(self) -> None:
        self._envoy.__exit__(None, None, None)

    @property
    def envoy(self) -> EnvoyProcess:
        return self._envoy

    def start_app(self) -> Echo:
        self.app = Echo().start()
        return self.app

    # the whole

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self.directory = Path(
                undo.enter_context(tempfile.TemporaryDirectory(prefix="extproc-stack-"))
            )
            self.access_log_file = self.directory / "access.log"
            undo.callback(self._keep_logs)
            self.start_app()
            undo.callback(self.app.close)
            ca_file = self._write_certificates()
            self.place = Place(self.origin, (), self.directory, ca_file)
            self.settings = self._settings()
            self.place = Place(self.origin, self._application_urls(), self.directory, ca_file)
            if self.provider is not None:
                undo.callback(self.provider.close)
                self.provider.open(self.place)
                self.settings = self._settings()  # A fake provider may know its address only now.
            self.config = self.directory / "extproc.yaml"
            self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False))
            # Before the processor, which looks for its providers through Envoy as soon as it runs.
            self.start_envoy()
            undo.callback(self.stop_envoy)
            self.start_extproc()
            undo.callback(lambda: self.extproc.stop(5))
            self._exit = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _settings(self) -> dict[str, Any]:
        applications: dict[str, Any] = {
            "app": {
                "hosts": ["localhost"],
                "path_prefix": "/",
                "upstream": self.app.url,
                "provider": "main",
                "public_paths": ["/public/"],
            }
        }
        providers = {}
        if self.provider is not None:
            providers = {"main": self.provider.settings(self.place)}
            if self.provider.upstream is not None:
                applications["idp"] = {
                    "hosts": ["127.0.0.1"],
                    "upstream": self.provider.upstream,
                    "exclude": True,
                }
        tls = {
            "tls": {
                "certificate": str(self.directory / "tls.pem"),
                "key": str(self.directory / "tls.key"),
            }
        }
        base = {
            "secret": self.settings.get("secret") or secrets.token_urlsafe(48),
            "listen": self.settings.get("listen") or f"127.0.0.1:{free_ports(4)}",
            "admin": self.admin.removeprefix("http://"),
            "gateway": {
                "listen": f"127.0.0.1:{self.port}",
                "url": self.gateway,
                "access_log": str(self.access_log_file),
                "sds_directory": str(self.directory / "sds"),
                "admin": self.envoy_admin.removeprefix("http://"),
                **(tls if self.tls else {}),
            },
            "providers": providers,
            "applications": applications,
            "store": {"path": str(self.directory / "extproc.sqlite3")},
            "timeouts": dict(PATIENT),
            "tracing": {"sample": 1},
        }
        settings = merged(
            base, self._overrides(self) if callable(self._overrides) else self._overrides
        )
        for store in (settings["store"], settings["store"].get("tombstones") or {}):
            if store.get("kind") == "redis":
                store.setdefault("deadline", PATIENT_STORE)  # The default is a quarter of a second.
                store.setdefault("connect", PATIENT_STORE)
        return settings

    def _application_urls(self) -> tuple[str, ...]:
        applications = self.settings["applications"].values()
        return tuple(
            a.get("url") or self.settings["gateway"]["url"] + a.get("path_prefix", "/")
            for a in applications
            if not a.get("exclude")
        )

    def _write_certificates(self) -> Path | None:
        if self.authority is None:
            return None
        self.fingerprint = self.authority.issue(
            *self.names, certificate=self.directory / "tls.pem", key=self.directory / "tls.key"
        )
        ca_file = self.directory / "ca.pem"
        ca_file.write_bytes(self.authority.pem)
        return ca_file

    def _keep_logs(self) -> None:
        """Copy the directory to the folder in EXTPROC_KEEP, if it is set."""
        if folder := os.environ.get("EXTPROC_KEEP"):
            shutil.copytree(self.directory, Path(folder) / self.directory.name, dirs_exist_ok=True)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge `over` into `base`: mappings into mappings, None removes a key, else it replaces."""
    result = dict(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def envoy_program() -> Path:
    """The newest Envoy's own program, not the wheel's Python script that starts it."""
    script = newest()
    return next(script.parent.parent.glob("lib/python3*/site-packages/envoy/_bin/envoy"), script)


def _listens(address: Address) -> bool:
    with socket.socket(socket.AF_UNIX if address.path else socket.AF_INET) as probe:
        return probe.connect_ex(address.path or (address.host, address.port)) == 0


def called(listener: str, path: str, **options: Any) -> httpx.Response:
    """The answer of a listener by its address of the settings, which may be a unix socket's."""
    with http_client(listener, options.pop("timeout", 5)) as client:
        return client.get(path, **options)


def _answers(listener: str) -> bool:
    # The client leaves its socket to the garbage collector when a unix socket refuses it.
    if not _listens(parse_address(listener)):
        return False
    try:
        return called(listener, "/livez", timeout=2).status_code == 200  # by time: asked again
    except httpx.HTTPError:
        return False
