"""Settings as frozen models. Durations are seconds, or text such as 90s, 30m, 12h; paths are
relative to the working directory.
"""

import os
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from extproc.addresses import Address, bracketed, collide, is_loopback, of_worker
from extproc.core.endpoints import ENDPOINTS
from extproc.core.sealing import KeyRing
from extproc.settings.applications import ApplicationSettings, Identity
from extproc.settings.gateway import Gateway
from extproc.settings.limits import Limits, Timeouts
from extproc.settings.listen import ListenTLS, Mode, Plaintext
from extproc.settings.observability import Log, Metrics, Tracing
from extproc.settings.providers import ProviderSettings
from extproc.settings.session import SessionSettings
from extproc.settings.store import CookieSettings, SQLiteSettings, StoreSettings, shares_tombstones
from extproc.settings.types import MAXIMUM_WORKERS, Listen, Model, Name, Workers

COOKIE_HEADERS_KB = 48
MINIMUM_SECRET = 32  # bytes
HOW_TO_MAKE_ONE = "make one with: openssl rand -base64 48"


class Settings(Model):
    """Everything: what `extproc serve`, `extproc envoy` and `extproc check` read."""

    secret: SecretStr | tuple[SecretStr, ...] | None = Field(
        None, description="32 bytes or more; a list is a key ring: the first seals, all open"
    )
    secret_file: Path | None = Field(None, description="a file with the secret, or one a line")
    listen: Listen = Field(
        Address(host="127.0.0.1", port=9500), description="where Envoy speaks to the processor"
    )
    listen_tls: ListenTLS | None = Field(None, description="mutual TLS on listen")
    listen_mode: Mode = Field(
        0o660, description="access rights of listen where it is a unix socket, octal in quotes"
    )
    admin: Listen = Field(
        Address(host="127.0.0.1", port=9490),
        description="probes, metrics and traces of all workers, http; takes OTLP at /v1/traces",
    )
    allow_plaintext: tuple[Plaintext, ...] = Field(
        (),
        description="which of listen, admin, gateway.admin, gateway.keys may be without TLS off "
        "loopback, as on a network of containers",
    )
    workers: Workers = Field(
        1,
        description="processes, each with an address of its own: from listen the ports that "
        "follow, or "
        "x.1.sock, x.2.sock; auto: one a CPU",
    )
    gateway: Gateway = Field(Gateway(), description="Envoy's listener")
    providers: dict[Name, ProviderSettings] = Field({}, description="by name")
    applications: dict[Name, ApplicationSettings] = Field(
        min_length=1, description="by name; the name is in its cookies' names"
    )
    identity: Identity = Field(Identity(), description="what applications are told")
    session: SessionSettings = Field(
        SessionSettings(), description="how long people stay signed in"
    )
    store: StoreSettings = Field(SQLiteSettings(), description="where sessions are kept")
    timeouts: Timeouts = Field(Timeouts(), description="deadlines")
    limits: Limits = Field(Limits(), description="how much at once")
    tracing: Tracing = Field(Tracing(), description="where spans go")
    metrics: Metrics = Field(Metrics(), description="where metrics go")
    log: Log = Field(Log(), description="the processor's log")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError(f"secret or secret_file is needed, one of the two ({HOW_TO_MAKE_ONE})")
        if self.admin.path is not None:
            raise ValueError("admin is host:port")
        if self.secret is not None:
            self.check_ring()
        self._check_listeners()
        self._check_doors()
        for name, application in self.applications.items():
            if application.provider is not None and application.provider not in self.providers:
                known = ", ".join(self.providers) or "none"
                raise ValueError(
                    f"applications.{name}.provider: there is no provider "
                    f"{application.provider!r}; there are: {known}"
                )
            if "extproc-" in name:
                raise ValueError(
                    f"applications.{name}: a name with extproc- in it looks like a cookie "
                    "of ours; choose another"
                )
            if not application.exclude:
                host = bracketed(urlsplit(self.url(name)).hostname or "")
                if "*" not in application.hosts and host not in application.hosts:
                    raise ValueError(
                        f"applications.{name}: its url {self.url(name)} is on {host}, which "
                        "is not among its hosts; set url or add the host"
                    )
        if self.worker_count > 1 and not shares_tombstones(self.store):
            raise ValueError(
                "workers: with store.kind cookie, several need store.tombstones; each would "
                "know alone which logins and sessions are over"
            )
        if self.session.per_user is not None and isinstance(self.store, CookieSettings):
            raise ValueError(
                "session.per_user: with store.kind cookie nobody can count sessions; leave "
                "it out, or choose store.kind sqlite or redis"
            )
        if (
            isinstance(self.store, CookieSettings)
            and self.gateway.max_request_headers_kb < COOKIE_HEADERS_KB
        ):
            raise ValueError(
                "gateway.max_request_headers_kb: with store.kind cookie "
                f"{COOKIE_HEADERS_KB} or more are needed: a browser may send two "
                "generations of a session, or be answered 431 until its cookies end"
            )
        self._check_backchannel_logout()
        self._check_overlaps()
        self._check_endpoints()
        return self

    def check_ring(self) -> None:
        for secret in self.ring():
            length = len(secret.get_secret_value().encode())
            if length < MINIMUM_SECRET:
                raise ValueError(
                    f"secret has {length} bytes; {MINIMUM_SECRET} or more are needed "
                    f"({HOW_TO_MAKE_ONE})"
                )

    def _check_listeners(self) -> None:
        """A port that two listeners want would be said by whichever came second, in its own
        words.
        """
        try:
            listens = self.listens
        except ValueError as error:
            raise ValueError(f"listen: {error}; choose another port, or fewer workers") from None
        gateway = self.gateway
        others = [("admin", self.admin)]
        if not gateway.processors:  # else Envoy may be on another machine
            named = {
                "gateway.listen": gateway.listen,
                "gateway.redirect_listen": gateway.redirect_listen,
                "gateway.admin": gateway.admin,
            }
            others += [(key, address) for key, address in named.items() if address is not None]
        for number, listen in enumerate(listens, 1):
            for key, other in others:
                if collide(listen, other):
                    whose = (
                        f"the address of worker {number} of workers: {len(listens)}, counted "
                        "from listen"
                    )
                    raise ValueError(
                        f"{key}: {other} is {whose if len(listens) > 1 else 'listen, too'}; "
                        f"choose another port for {key} or listen"
                    )
        if gateway.processors and len(gateway.processors) < len(listens):
            raise ValueError(
                f"gateway.processors lists {len(gateway.processors)} of the {len(listens)} "
                "addresses of workers: "
                "Envoy would never call the rest; list each worker of every machine, or "
                "leave it out"
            )

    def _check_doors(self) -> None:
        """Plain TCP is for loopback, or for those who say that they mean it."""
        if self.listen_tls is not None and self.listen.path is not None:
            raise ValueError(
                "listen_tls: listen is a unix socket; who may open it is said by listen_mode"
            )
        doors: list[tuple[Plaintext, Address | None, str]] = [
            (
                "listen",
                None if self.listen_tls else self.listen,
                "set listen_tls, use a unix socket",
            ),
            ("admin", self.admin, "use a loopback address"),
            ("gateway.admin", self.gateway.admin, "use a loopback address"),
            *[("gateway.keys", address, "leave it out") for address in self.gateway.keys],
        ]
        for key, address, remedy in doors:
            if (
                address is None
                or address.path is not None
                or is_loopback(address.host)
                or key in self.allow_plaintext
            ):
                continue
            raise ValueError(
                f"{key}: {address} is not on loopback, and nothing there asks who is calling; "
                f"{remedy}, or say allow_plaintext: [{key}] where only your own machines reach it"
            )

    def _check_backchannel_logout(self) -> None:
        for name in dict.fromkeys(
            application.provider for application in self.applications.values()
        ):
            if (
                name is not None
                and self.providers[name].backchannel_logout
                and not shares_tombstones(self.store)
            ):
                raise ValueError(
                    f"providers.{name}.backchannel_logout: sessions are in cookies, so a "
                    "provider can end them only"
                    " where a store remembers it: set store.tombstones, or "
                    "backchannel_logout: false"
                )

    def _check_overlaps(self) -> None:
        taken: dict[tuple[str, str], str] = {}
        for name, application in self.applications.items():
            for host in application.hosts:
                other = taken.setdefault((host, application.path_prefix), name)
                if other != name:
                    raise ValueError(
                        f"applications.{name}: {other} has the host {host} with path_prefix "
                        f"{application.path_prefix} already"
                    )

    def _check_endpoints(self) -> None:
        """No application may lie where another one's own endpoints are: a code would reach it."""
        for name, application in self.applications.items():
            for other, owner in self.applications.items():
                shared = (
                    set(application.hosts) & set(owner.hosts)
                    or "*" in application.hosts + owner.hosts
                )
                if (
                    not owner.exclude
                    and shared
                    and application.path_prefix.startswith(owner.path_prefix + ENDPOINTS)
                ):
                    raise ValueError(
                        f"applications.{name}: path_prefix {application.path_prefix} lies "
                        f"among the endpoints of {other}"
                    )

    def ring(self) -> tuple[SecretStr, ...]:
        """The key ring: the first seals, all open."""
        if self.secret_file is not None:
            return tuple(
                SecretStr(line.strip())
                for line in self.secret_file.read_text().splitlines()
                if line.strip()
            )
        if isinstance(self.secret, SecretStr):
            return (self.secret,)
        return self.secret or ()

    def key_ring(self) -> KeyRing:
        """The same, ready for use. Reads the secret's file where one is named."""
        return KeyRing.of([secret.get_secret_value().encode() for secret in self.ring()])

    @property
    def worker_count(self) -> int:
        """How many processes; auto is what this process may run on, so it is asked where they will
        run.
        """
        return (
            min(len(os.sched_getaffinity(0)), MAXIMUM_WORKERS)
            if self.workers == "auto"
            else self.workers
        )

    @property
    def listens(self) -> tuple[Address, ...]:
        """The address of each worker."""
        if (count := self.worker_count) == 1:
            return (self.listen,)
        return tuple(of_worker(self.listen, number) for number in range(1, count + 1))

    @property
    def protected(self) -> tuple[str, ...]:
        """The applications that have a login."""
        return tuple(
            name
            for name, application in self.applications.items()
            if application.provider is not None
        )

    def url(self, name: str) -> str:
        """An application's public address; it ends with its path_prefix."""
        application = self.applications[name]
        return application.url or self.gateway.url.rstrip("/") + application.path_prefix
