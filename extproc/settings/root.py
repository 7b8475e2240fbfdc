"""The whole settings file as one frozen model, `Settings`.

Durations are seconds, or text such as 90s, 30m, 12h. Paths are relative to the working directory.
"""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from extproc.addresses import Address, of_worker
from extproc.core.sealing import KeyRing
from extproc.settings import consistency
from extproc.settings.applications import ApplicationSettings
from extproc.settings.bearer import Accepted, check_accepted
from extproc.settings.gateway import Gateway
from extproc.settings.identity import Identity
from extproc.settings.limits import Limits, Timeouts
from extproc.settings.listen import HostName, ListenTLS, Mode, Plaintext
from extproc.settings.observability import Log, Metrics, Tracing
from extproc.settings.origins import check_cors
from extproc.settings.providers import ProviderSettings
from extproc.settings.secret_files import read_secret
from extproc.settings.session import SessionSettings
from extproc.settings.store import SQLiteSettings, StoreSettings
from extproc.settings.types import MAXIMUM_WORKERS, Listen, Model, Name, Workers

MINIMUM_SECRET = 32  # bytes
HOW_TO_MAKE_ONE = "make one with: openssl rand -base64 48"


class Settings(Model):
    """Everything that `extproc serve`, `extproc envoy` and `extproc check` read."""

    secret: SecretStr | tuple[SecretStr, ...] | None = Field(
        None,
        description="secret of 32 bytes or more; a list is a key ring: the first key encrypts and "
        "signs, every key decrypts",
    )
    secret_file: Path | None = Field(
        None, description="file with the secret, or with a key ring, one key a line"
    )
    listen: Listen = Field(
        Address(host="127.0.0.1", port=9500),
        description="address at which Envoy reaches the processor",
        json_schema_extra={"default": "127.0.0.1:9500"},
    )
    listen_tls: ListenTLS | None = Field(None, description="mutual TLS on `listen`")
    listen_mode: Mode = Field(
        0o660,
        description="access rights of `listen` if it is a unix socket: octal digits in quotes, "
        "the last one 0, because a user who may open the socket decides every request",
        json_schema_extra={"default": "0660"},
    )
    admin: Listen = Field(
        Address(host="127.0.0.1", port=9490),
        description="address of the admin listener (http): probes, metrics, keys, sessions and "
        "traces of all workers; it receives OTLP at /v1/traces. Every user of the machine can "
        "connect to a port, and only `admin_mode`'s to a unix socket",
        json_schema_extra={"default": "127.0.0.1:9490"},
    )
    admin_mode: Mode = Field(
        0o660,
        description="access rights of `admin` and `gateway.admin` where they are unix sockets: "
        "octal digits in quotes, the last one 0",
        json_schema_extra={"default": "0660"},
    )
    admin_hosts: tuple[HostName, ...] = Field(
        (),
        description="further names under which clients may call `admin`, in lower case without a "
        "port, such as extproc.monitoring.svc. IP addresses, names without a dot and "
        "*.localhost may be used anyway; other names are answered 421, because a web page could "
        "have its own name point at this machine (DNS rebinding)",
    )
    allow_plaintext: tuple[Plaintext, ...] = Field(
        (),
        description="addresses that may be off loopback without TLS, for example on a container "
        "network: any of listen, admin, gateway.admin, gateway.keys",
    )
    workers: Workers = Field(
        1,
        description="number of processes, or auto: one for each CPU. Each has its own address: "
        "ports count up from `listen`, sockets are x.1.sock, x.2.sock",
    )
    gateway: Gateway = Field(Gateway(), description="Envoy's listeners")
    providers: dict[Name, ProviderSettings] = Field({}, description="OpenID Providers, by name")
    applications: dict[Name, ApplicationSettings] = Field(
        min_length=1,
        description="applications, by name; the name is part of the names of its cookies",
    )
    identity: Identity = Field(
        Identity(), description="what applications learn about the signed-in user"
    )
    session: SessionSettings = Field(SessionSettings(), description="how long users stay signed in")
    store: StoreSettings = Field(SQLiteSettings(), description="where sessions are kept")
    timeouts: Timeouts = Field(Timeouts(), description="deadlines")
    limits: Limits = Field(Limits(), description="how much the processor does at the same time")
    tracing: Tracing = Field(Tracing(), description="where spans are sent, and which are kept")
    metrics: Metrics = Field(Metrics(), description="where metrics are sent")
    log: Log = Field(Log(), description="the processor's log")

    @model_validator(mode="after")
    def _check(self) -> Self:
        """Check what spans several settings; the first broken rule is reported."""
        if (self.secret is None) == (self.secret_file is None):
            raise ValueError(f"secret or secret_file is needed, one of the two ({HOW_TO_MAKE_ONE})")
        if self.secret == ():
            raise ValueError(f"secret is an empty list; it has one key or more ({HOW_TO_MAKE_ONE})")
        if self.secret is not None:
            self.check_ring()
        listens = self._checked_listens()
        consistency.check_ports(listens, self.admin, self.gateway)
        consistency.check_processors(listens, self.gateway)
        consistency.check_plaintext(
            self.listen, self.listen_tls, self.admin, self.gateway, self.allow_plaintext
        )
        for name, provider in self.providers.items():
            for key, secret in provider.written_secrets():
                self.check_published(f"providers.{name}.{key}", secret)
        for name, application in self.applications.items():
            consistency.check_application(name, application, self.url(name), self.providers)
            check_cors(self.applications, name, self.url(name))
        consistency.check_client_certificates(self.applications, self.gateway)
        consistency.check_workers_share_revocations(self.worker_count, self.store)
        consistency.check_session_count(self.session, self.store)
        consistency.check_header_size(self.gateway, self.store)
        consistency.check_backchannel_logout(self.applications, self.providers, self.store)
        self._check_identity_headers()
        check_accepted(self.accepted, self.providers, self._client_ids)
        consistency.check_overlaps(self.applications)
        consistency.check_endpoints(self.applications)
        return self

    def _check_identity_headers(self) -> None:
        for header in self.own_identity_headers:
            if header in self.gateway.kept_headers:
                raise ValueError(
                    f"gateway.kept_headers: {header} is an identity header of an application, "
                    "which no client may send; leave it out"
                )

    def check_ring(self) -> None:
        """Check that every key of the ring is long enough. Raises ValueError, or OSError when the
        secret's file cannot be read.
        """
        for secret in self.ring():
            length = len(secret.get_secret_value().encode())
            if length < MINIMUM_SECRET:
                raise ValueError(
                    f"secret has {length} bytes; {MINIMUM_SECRET} or more are needed "
                    f"({HOW_TO_MAKE_ONE})"
                )
            self.check_published("secret", secret)

    def check_published(self, key: str, secret: SecretStr) -> None:
        """Check that a secret is not that of compose.yaml, unless all is on loopback. Raises
        ValueError with the key.
        """
        urls = (self.gateway.url, *(self.url(name) for name in self.applications))
        consistency.check_published(key, secret.get_secret_value(), urls)

    def _checked_listens(self) -> tuple[Address, ...]:
        try:
            return self.listens
        except ValueError as error:
            raise ValueError(f"listen: {error}; choose another port, or fewer workers") from None

    def ring(self) -> tuple[SecretStr, ...]:
        """The key ring as secrets: the first key encrypts and signs, every key decrypts.

        Reads the secret's file where `secret_file` names one; raises OSError when it cannot.
        """
        if self.secret_file is not None:
            lines = read_secret(self.secret_file).splitlines()
            return tuple(SecretStr(line.strip()) for line in lines if line.strip())
        if isinstance(self.secret, SecretStr):
            return (self.secret,)
        return self.secret or ()

    def key_ring(self) -> KeyRing:
        """The key ring with its derived keys, ready to seal and open.

        Reads the secret's file where `secret_file` names one; raises OSError when it cannot.
        """
        return KeyRing.of([secret.get_secret_value().encode() for secret in self.ring()])

    @property
    def admin_names(self) -> tuple[str, ...]:
        """The names of `admin` itself and of admin_hosts, by which clients may call it."""
        if not self.admin.host:
            return self.admin_hosts
        return (self.admin.host.lower().removesuffix("."), *self.admin_hosts)

    @property
    def worker_count(self) -> int:
        """Number of processes. `auto` counts the CPUs that this process may use, so the result
        depends on the machine where it is read.
        """
        if self.workers == "auto":
            return min(len(os.sched_getaffinity(0)), MAXIMUM_WORKERS)
        return self.workers

    @property
    def own_listeners(self) -> tuple[Address, ...]:
        """Where processors, their key servers and Envoy's admin listen: no provider's metadata may
        name it. Names of hosts are compared as names, without DNS.
        """
        gateway = self.gateway
        envoy = () if gateway.admin is None else (gateway.admin,)
        return (*self.listens, self.admin, *envoy, *gateway.keys, *gateway.processors)

    @property
    def listens(self) -> tuple[Address, ...]:
        """The address of each worker. Raises ValueError when the ports do not suffice."""
        count = self.worker_count
        if count == 1:
            return (self.listen,)
        return tuple(of_worker(self.listen, number) for number in range(1, count + 1))

    @property
    def protected(self) -> tuple[str, ...]:
        """Names of the applications that have a login."""
        return tuple(
            name
            for name, application in self.applications.items()
            if application.provider is not None
        )

    def identity_headers(self, name: str) -> dict[str, str]:
        """The identity headers of an application, and their claims."""
        return self.applications[name].identity.all or self.identity.headers

    @property
    def own_identity_headers(self) -> tuple[str, ...]:
        """The identity headers that applications name for themselves, in alphabetical order. No
        client may send one to any application.
        """
        named = (each.identity.all for each in self.applications.values())
        return tuple(sorted({header for headers in named for header in headers}))

    def session_at(self, name: str) -> SessionSettings:
        """The settings of sessions at an application."""
        return self.session.at(self.applications[name].session)

    @property
    def longest_session(self) -> int:
        """Seconds that a session of any application may last: for so long the end of one has to be
        remembered, because a provider and a user end those of several applications at once.
        """
        return max(
            (int(self.session_at(name).lifetime) for name in self.applications),
            default=int(self.session.lifetime),
        )

    @property
    def accepted(self) -> dict[str, Accepted]:
        """Whose access tokens are accepted, by application, of those that accept any."""
        return {
            name: application.bearer.accepted(self.url(name), application.provider)
            for name, application in self.applications.items()
            if application.accepts_bearer and application.provider is not None
        }

    @property
    def _client_ids(self) -> frozenset[str]:
        """The clients of the processor at all providers."""
        own = [provider.client_id for provider in self.providers.values()]
        asking = (each.access_tokens.introspection for each in self.providers.values())
        return frozenset([*own, *(each.client_id for each in asking if each is not None)])

    def url(self, name: str) -> str:
        """The public address of an application; it ends with the application's path_prefix."""
        application = self.applications[name]
        return application.url or self.gateway.url.rstrip("/") + application.path_prefix
