"""The interface between a Stack and its OpenID Provider, real or fake."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

SECRET = "gateway-secret-gateway-secret-32ch"


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway, as its provider needs to know it."""

    origin: str  # of the provider, if it is behind the gateway, such as http://127.0.0.1:8080
    applications: tuple[str, ...]  # addresses, each with a / at its end
    directory: Path  # for its files and its log
    ca_file: Path | None  # verifies `origin` if that is https


class Provider(Protocol):
    """A provider that a Stack starts and stops."""

    gateway_port: int | None
    """The gateway's port that it is bound to; None: it takes any."""

    upstream: str | None
    """Where Envoy finds it (http://host:port), known once it was opened; None: it is not behind the
    gateway.
    """

    def open(self, place: Place) -> None:
        """Start it, and return when it answers."""

    def settings(self, place: Place) -> dict[str, Any]:
        """Its entry of `providers` in the settings."""

    def close(self) -> None: ...


@dataclass(slots=True)
class At:
    """A provider that the test runs itself.

    With `upstream` it is behind the gateway, and `issuer` is a path there, such as "" or
    "/realms/demo".
    """

    issuer: str
    upstream: str | None = None
    client: dict[str, Any] = field(
        default_factory=lambda: {"client_id": "gateway", "client_secret": SECRET}
    )
    gateway_port: int | None = None

    def open(self, place: Place) -> None: ...

    def settings(self, place: Place) -> dict[str, Any]:
        issuer = place.origin + self.issuer if self.upstream else self.issuer
        ca = (
            {"ca_file": str(place.ca_file)} if place.ca_file and issuer.startswith("https:") else {}
        )
        return {"issuer": issuer, **self.client, **ca}

    def close(self) -> None: ...
