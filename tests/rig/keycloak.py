"""A real Keycloak with the realm of compose.yaml, as a process. One for a whole test session: it takes 15 s, 500 MB."""

import shutil
from pathlib import Path
from typing import Any, Self

from rig.downloads import found
from rig.oidc_provider import DISCOVERY, answers_ok
from rig.ports import free_port
from rig.processes import Process
from rig.providers import SECRET, Place

REALM = Path(__file__).parent.parent / "compose" / "realm.json"
ISSUER = "/realms/demo"


class Keycloak:
    """Behind the gateway's port `gateway_port`, at http://127.0.0.1: its issuer is fixed, so every Stack with it has
    that port. Asked at its own port its discovery document gives internal addresses of the back-channel endpoints, as
    Keycloak does behind a proxy. Users alice and bob, password secret.
    """

    def __init__(self, directory: Path, *, port: int | None = None, gateway_port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.gateway_port: int | None = gateway_port or free_port()
        self.upstream: str | None = f"http://127.0.0.1:{self.port}"
        self.public = f"http://127.0.0.1:{self.gateway_port}"
        self.issuer = self.public + ISSUER
        self.otlp_port = free_port()
        self.process: Process | None = None

    def start(self) -> Self:
        """Starts it; returns when its discovery document is there."""
        home = found("EXTPROC_KEYCLOAK", "Keycloak")
        (home / "data" / "import").mkdir(parents=True, exist_ok=True)
        shutil.copy(REALM, home / "data" / "import" / "demo.json")
        options = [
            "--http-host=127.0.0.1",
            f"--http-port={self.port}",
            f"--http-management-port={free_port()}",
            f"--hostname={self.public}",
            "--hostname-backchannel-dynamic=true",
            "--health-enabled=true",
            "--db=dev-mem",
            "--import-realm",
            # spans below those of the gateway, to whoever listens there: nobody, but for tests of traces
            "--tracing-enabled=true",
            f"--tracing-endpoint=http://127.0.0.1:{self.otlp_port}",
            "--tracing-protocol=http/protobuf",
            "--tracing-sampler-type=parentbased_always_off",
        ]
        environment = {
            "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx512m",
            "GATEWAY_URL": f"http://localhost:{self.gateway_port}",
            "CLIENT_SECRET": SECRET,
        }
        program = [home / "bin" / "kc.sh", "start-dev", *options]
        self.process = Process("keycloak", program, log=self.directory / "keycloak.log", env=environment)
        self.process.wait_ready(lambda: answers_ok(f"{self.upstream}{ISSUER}{DISCOVERY}"), 180)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop(5)
            self.process = None

    # as a provider of a Stack: it is there already, and stays

    def open(self, place: Place) -> None:
        assert self.process is not None, "started by the fixture `keycloak`"

    def settings(self, place: Place) -> dict[str, Any]:
        return {"issuer": self.issuer, "client_id": "gateway", "client_secret": SECRET}

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
