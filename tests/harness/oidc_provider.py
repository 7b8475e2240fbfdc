"""npm oidc-provider, a certified OpenID Provider, as a process (idp.mjs)."""

import json
from pathlib import Path
from typing import Any, Self

import httpx

from harness.clients import PATIENCE
from harness.downloads import found
from harness.ports import free_port
from harness.processes import Process
from harness.providers import SECRET, Place

PROGRAM = Path(__file__).with_name("idp.mjs")
DISCOVERY = "/.well-known/openid-configuration"
POST_LOGOUT_PATHS = ("", "oauth2/signed-out", "oauth2/logout")


class OidcProvider:
    """A provider with the users alice, bob and carol, for whom any password is right.

    It is behind the gateway unless `direct`. Opened without a Place it stands alone, at `issuer`.

    Args:
        client: gateway (client_secret_basic), gateway-post or gateway-public.
        environment: See idp.mjs.
    """

    def __init__(
        self, client: str = "gateway", *, direct: bool = False, **environment: str
    ) -> None:
        self.client, self.direct, self.environment = client, direct, environment
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.gateway_port: int | None = None
        self.upstream = None if direct else self.address
        self.process: Process | None = None
        self._start: tuple[Path, dict[str, str]] | None = None

    def open(self, place: Place) -> None:
        self.run(
            place.directory,
            ISSUER=self.address if self.direct else place.origin,
            REDIRECTS=",".join(f"{url}oauth2/callback" for url in place.applications),
            POST_LOGOUT=",".join(
                url + path for url in place.applications for path in POST_LOGOUT_PATHS
            ),
            BACKCHANNEL=f"{place.applications[0]}oauth2/backchannel-logout",
            RESOURCES=",".join(place.applications),
            **({"NODE_EXTRA_CA_CERTS": str(place.ca_file)} if place.ca_file else {}),
        )

    def run(self, directory: Path, **environment: str) -> Self:
        """Start it with these settings and those of the constructor; return when it answers."""
        self._start = (
            directory,
            {"PORT": str(self.port), "SECRET": SECRET} | environment | self.environment,
        )
        self.start()
        return self

    def start(self) -> None:
        """Start it again as it was, without its sessions, grants and codes."""
        assert self._start is not None, "run or open it first"
        directory, environment = self._start
        home, log = (
            found("EXTPROC_OIDC_PROVIDER", "npm oidc-provider"),
            directory / "oidc-provider.log",
        )
        self.process = Process(
            "oidc-provider", ["node", PROGRAM], log=log, env=environment, cwd=home
        )
        self.process.wait_ready(lambda: answers_ok(self.address + DISCOVERY), 30)

    def settings(self, place: Place) -> dict[str, Any]:
        secret = {} if self.client == "gateway-public" else {"client_secret": SECRET}
        method = (
            {"token_endpoint_auth_method": "client_secret_post"}
            if self.client == "gateway-post"
            else {}
        )
        ca = {"ca_file": str(place.ca_file)} if place.ca_file and not self.direct else {}
        issuer = self.address if self.direct else place.origin
        scopes = ["openid", "email", "profile", "groups"]
        return {
            "issuer": issuer,
            "client_id": self.client,
            "scopes": scopes,
            **secret,
            **method,
            **ca,
        }

    # access tokens, without a browser

    def access_token(
        self, resource: str, scope: str = "", *, user: str = "", opaque: bool = False
    ) -> str:
        """An access token for an application (RFC 8707), of the client machine or machine-opaque.

        It is a JWT (RFC 9068) unless `opaque`. Without `user` it is the client's own
        (client_credentials), whose sub is the client's id in a JWT and missing at introspection.
        """
        client = "machine-opaque" if opaque else "machine"
        asked = {"resource": resource, "scope": scope}
        if user:
            return self._called("/tests/access-token", {**asked, "user": user, "client_id": client})
        answer = self._posted("/token", client, {**asked, "grant_type": "client_credentials"})
        token: str = answer.json()["access_token"]
        return token

    def revoke(self, token: str, client: str = "machine-opaque") -> None:
        """Revoke an opaque access token of this client (RFC 7009)."""
        self._posted("/token/revocation", client, {"token": token})

    def _posted(self, path: str, client: str, form: dict[str, str]) -> httpx.Response:
        answer = httpx.post(
            self.address + path,
            data=form,
            auth=(client, SECRET),
            trust_env=False,
            timeout=PATIENCE,
        )
        assert answer.status_code == 200, answer.text
        return answer

    def _called(self, path: str, query: dict[str, str]) -> str:
        answer = httpx.get(self.address + path, params=query, trust_env=False, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.text

    def close(self) -> None:
        if self.process is not None:
            self.process.stop(2)
            self.process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def answers_ok(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).status_code == 200  # by time: asked again
    except httpx.HTTPError:
        return False


def users(**claims: dict[str, Any]) -> str:
    """The variable USERS for the constructor: name=claims."""
    return json.dumps(claims)
