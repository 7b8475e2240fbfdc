"""A real Keycloak with the realm of compose.yaml, one process for all tests of a session."""

import shutil
import time
from pathlib import Path
from typing import Any, Self

import httpx

from harness.downloads import found
from harness.oidc_provider import DISCOVERY, answers_ok
from harness.ports import free_port
from harness.processes import Process
from harness.providers import SECRET, Place

REALM = Path(__file__).parent.parent / "compose" / "realm.json"
ISSUER = "/realms/demo"
ADMIN = "admin"
REFRESHES = ["REFRESH_TOKEN", "REFRESH_TOKEN_ERROR"]  # types of events
# seconds; an admin's token is good for a minute, and a new one costs a password hash
TOKEN_LIFE = 40.0


class Keycloak:
    """A provider behind the gateway at port `gateway_port` of 127.0.0.1.

    Its issuer is fixed, so every Stack with it has that port. At its own port its discovery
    document has internal addresses of the back-channel endpoints, as behind any proxy. Its users
    are alice and bob, with the password "secret". It takes 15 seconds and 500 MB to start.
    """

    def __init__(
        self, directory: Path, *, port: int | None = None, gateway_port: int | None = None
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.gateway_port: int | None = gateway_port or free_port()
        self.upstream: str | None = f"http://127.0.0.1:{self.port}"
        self.public = f"http://127.0.0.1:{self.gateway_port}"
        self.issuer = self.public + ISSUER
        self.otlp_port = free_port()
        self.process: Process | None = None

    def start(self) -> Self:
        """Start it, and return when its discovery document is there."""
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
            # It sends its spans to a port where only the tests of traces listen.
            "--tracing-enabled=true",
            f"--tracing-endpoint=http://127.0.0.1:{self.otlp_port}",
            "--tracing-protocol=http/protobuf",
            "--tracing-sampler-type=parentbased_always_off",
        ]
        environment = {
            "JAVA_OPTS_KC_HEAP": "-Xms128m -Xmx512m",
            "GATEWAY_URL": f"http://localhost:{self.gateway_port}",
            "CLIENT_SECRET": SECRET,
            "KC_BOOTSTRAP_ADMIN_USERNAME": ADMIN,
            "KC_BOOTSTRAP_ADMIN_PASSWORD": SECRET,
        }
        program = [home / "bin" / "kc.sh", "start-dev", *options]
        self.process = Process(
            "keycloak", program, log=self.directory / "keycloak.log", env=environment
        )
        self.process.wait_ready(lambda: answers_ok(f"{self.upstream}{ISSUER}{DISCOVERY}"), 600)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop(5)
            self.process = None

    def operator(self) -> "Operator":
        return Operator(self)

    def tokens(self, client: str, user: str = "", scope: str = "openid") -> dict[str, str]:
        """The token response of a client of `Operator.add_caller`, for a user or for itself."""
        grant = {"grant_type": "client_credentials"}
        if user:
            grant = {"grant_type": "password", "username": user, "password": "secret"}
        answer = httpx.post(
            f"{self.upstream}{ISSUER}/protocol/openid-connect/token",
            data={**grant, "scope": scope},
            auth=(client, SECRET),
            trust_env=False,
        )
        assert answer.status_code == 200, answer.text
        tokens: dict[str, str] = answer.json()
        return tokens

    # as a harness.providers.Provider, which runs before the Stack and after it

    def open(self, place: Place) -> None:
        assert self.process is not None, "started by the fixture `keycloak`"

    def settings(self, place: Place) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "client_id": "gateway",
            "client_secret": SECRET,
            "frontchannel_logout": "sid",
        }

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _mapper(name: str, kind: str, config: dict[str, str]) -> dict[str, Any]:
    """A mapper of claims into access tokens alone."""
    common = {"access.token.claim": "true", "id.token.claim": "false", "full.path": "false"}
    protocol = {"protocol": "openid-connect", "protocolMapper": kind}
    return {"name": name, **protocol, "config": {**common, **config}}


class Operator:
    """The operator of this Keycloak, at its admin API. Use `with`.

    Changes to the realm and to clients are undone at the end.
    """

    def __init__(self, keycloak: Keycloak) -> None:
        self._realm = f"{keycloak.upstream}/admin{ISSUER}"
        self._tokens = f"{keycloak.upstream}/realms/master/protocol/openid-connect/token"
        self._http = httpx.Client(trust_env=False, timeout=30)
        self._before: list[tuple[str, dict[str, Any] | None]] = []  # None: it was not there
        self._token, self._token_from = "", -TOKEN_LIFE

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            while self._before:
                path, whole = self._before.pop()
                if whole is None:
                    self._call("DELETE", path)
                else:
                    self._call("PUT", path, json=whole)
        finally:
            self._http.close()

    def change_realm(self, **settings: object) -> None:
        self._change("", settings)

    def change_client(
        self, client: str = "gateway", attributes: dict[str, str] | None = None, **settings: object
    ) -> None:
        (found,) = self._call("GET", "/clients", params={"clientId": client}).json()
        merged = {"attributes": {**found["attributes"], **attributes}} if attributes else {}
        self._change(f"/clients/{found['id']}", {**settings, **merged})

    def add_caller(self, client: str, audience: str, **attributes: str) -> None:
        """Add a client of an API, with the secret SECRET: a service of its own, or one to which
        users give their passwords. Its access tokens are for the audience.
        """
        mappers = [
            _mapper("audience", "oidc-audience-mapper", {"included.custom.audience": audience}),
            _mapper("groups", "oidc-group-membership-mapper", {"claim.name": "groups"}),
        ]
        settings = {
            "clientId": client,
            "secret": SECRET,
            "standardFlowEnabled": False,
            "serviceAccountsEnabled": True,
            "directAccessGrantsEnabled": True,
            "protocolMappers": mappers,
            "attributes": attributes,
        }
        path = self._call("POST", "/clients", json=settings).headers["location"]
        self._before.append((f"/clients/{path.rpartition('/')[2]}", None))

    def change_user(self, user: str, **settings: object) -> None:
        self._change(f"/users/{self.user_id(user)}", settings)

    def log_out(self, user: str) -> None:
        """End all sessions of that user, as "Sign out" on the user's page does."""
        self._call("POST", f"/users/{self.user_id(user)}/logout")

    def log_out_all(self) -> None:
        """End all sessions, as "Sign out all active sessions" does."""
        self._call("POST", "/logout-all")

    def end_session(self, sid: str) -> None:
        self._call("DELETE", f"/sessions/{sid}")

    def user_id(self, user: str) -> str:
        (found,) = self._call("GET", "/users", params={"username": user, "exact": "true"}).json()
        return str(found["id"])

    def refreshes(self) -> list[str]:
        """The error of each refresh since `listens` or `forgets` ("": none), newest first."""
        seen = self._call("GET", "/events", params={"type": REFRESHES, "max": 1000}).json()
        return [event.get("error", "") for event in seen]

    def listens(self) -> None:
        self.change_realm(eventsEnabled=True, enabledEventTypes=REFRESHES)
        self.forgets()

    def forgets(self) -> None:
        self._call("DELETE", "/events")

    def _change(self, path: str, settings: dict[str, Any]) -> None:
        whole = self._call("GET", path).json()
        self._before.append((path, whole))
        self._call("PUT", path, json={**whole, **settings})

    def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        if time.monotonic() > self._token_from + TOKEN_LIFE:
            form = {
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": ADMIN,
                "password": SECRET,
            }
            self._token_from = time.monotonic()
            self._token = (
                self._http.post(self._tokens, data=form).raise_for_status().json()["access_token"]
            )
        headers = {"authorization": f"Bearer {self._token}"}
        answer = self._http.request(method, self._realm + path, headers=headers, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer
