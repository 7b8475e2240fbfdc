"""Settings as frozen models. Durations are seconds, or text such as 90s, 30m, 12h; paths are relative to the working directory."""

import os
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    model_validator,
)

from extproc.addresses import Address, collide, is_loopback, of_worker
from extproc.settings.store import SQLiteSettings, StoreSettings, shares_tombstones
from extproc.settings.types import MAXIMUM_WORKERS, Count, Duration, Listen, Model, Name, Network, Workers, base_address

MINIMUM_SECRET = 32  # bytes
HOW_TO_MAKE_ONE = "make one with: openssl rand -base64 48"


class TLS(Model):
    """The gateway's certificate chain and private key, PEM files."""

    certificate: Path = Field(description="the chain, its own certificate first")
    key: Path = Field(description="its private key")


class RateLimit(Model):
    """How often one client address may ask what Envoy cannot decide by itself: what needs a login, without an assertion."""

    per_second: int = Field(100, ge=0, le=1_000_000, description="requests a second, in the long run; 0: no limit")
    burst: Count = Field(1_000, description="requests at once, after a rest")
    exempt: tuple[Network, ...] = Field(
        (),
        description="networks without a limit, such as 10.0.0.0/8; loopback and the processor's addresses always are",
    )


class Gateway(Model):
    """The listener of Envoy."""

    listen: Listen = Field(Address(host="127.0.0.1", port=8080), description="host:port")
    url: str = Field(
        "http://localhost:8080", description="its public address; https here makes cookies Secure, wherever TLS ends"
    )
    tls: TLS | None = Field(
        None, description="Envoy ends TLS itself; without it and with an https url, something before it does"
    )
    redirect_listen: Listen | None = Field(
        None, description="a plain http listener that sends everybody to https, such as 0.0.0.0:80"
    )
    hsts: Duration = Field(0, description="Strict-Transport-Security max-age; 0: not sent")
    access_log: str = Field("/dev/stdout", description="where Envoy writes its access log, JSON lines")
    admin: Listen | None = Field(None, description="Envoy's own admin listener; none by default. Keep it on loopback")
    processors: tuple[Listen, ...] = Field(
        (),
        description="where Envoy finds the processor, one address a worker, of all machines; default: this machine's workers",
    )
    trusted_hops: int = Field(0, ge=0, le=16, description="proxies in front of Envoy whose X-Forwarded-For is believed")
    rate_limit: RateLimit = Field(RateLimit(), description="per client address, the one after trusted_hops")

    @model_validator(mode="after")
    def _check(self) -> Self:
        base_address(self.url, "url")
        if self.tls and not self.url.startswith("https://"):
            raise ValueError("tls is set, so url begins with https://")
        if self.redirect_listen and not self.url.startswith("https://"):
            raise ValueError("redirect_listen needs a url that begins with https://")
        if self.listen.path is not None:
            raise ValueError("listen is host:port: Envoy's listener cannot be a unix socket here")
        return self


AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]
SigningAlg = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"
]


class ProviderSettings(Model):
    """An OpenID Provider and the client that we are there."""

    issuer: str = Field(description="compared byte for byte with what the provider says; https, or http on loopback")
    client_id: str = Field(min_length=1, max_length=255, description="as registered at the provider")
    client_secret: SecretStr | None = Field(None, description="as registered; none for a public client")
    client_secret_file: Path | None = Field(None, description="a file with it, instead")
    token_endpoint_auth_method: AuthMethod | None = Field(
        None, description="client_secret_basic when there is a secret, else none (public client)"
    )
    backchannel_url: str | None = Field(
        None, description="where we call instead of issuer; the endpoints of its discovery document are rewritten"
    )
    scopes: tuple[str, ...] = Field(
        ("openid", "email", "profile"), description="what is asked for; openid is always among them"
    )
    id_token_signed_response_alg: SigningAlg = Field(
        "RS256", description="the one algorithm that ID tokens are accepted in"
    )
    ca_file: Path | None = Field(
        None, description="what the provider's certificate is verified with; default: the system's authorities"
    )
    backchannel_logout: bool = Field(
        True,
        description="the provider may end sessions (OpenID Connect Back-Channel Logout); needs store.tombstones where they are in cookies",
    )
    trust_env: bool = Field(
        False, description="use HTTP(S)_PROXY and NO_PROXY of the environment for calls to this provider"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        base_address(self.issuer, "issuer", path=True)
        if self.issuer.startswith("http://") and not is_loopback(urlsplit(self.issuer).hostname or ""):
            raise ValueError("issuer begins with https://; http is for loopback only (backchannel_url may be http)")
        if self.backchannel_url is not None:
            base_address(self.backchannel_url, "backchannel_url", path=True)
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("client_secret or client_secret_file, not both")
        if self.client_secret is not None and not self.client_secret.get_secret_value():
            raise ValueError("client_secret is empty; leave it out for a public client")
        if "openid" not in self.scopes:
            raise ValueError("scopes must contain openid")
        if any(not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in self.scopes):
            raise ValueError("scopes is a list of scope names, each without blanks or quotes (RFC 6749 section 3.3)")
        has_secret = self.client_secret is not None or self.client_secret_file is not None
        if self.token_endpoint_auth_method not in (None, "none") and not has_secret:
            raise ValueError(
                f"token_endpoint_auth_method {self.token_endpoint_auth_method} needs client_secret or client_secret_file"
            )
        if self.token_endpoint_auth_method == "none" and has_secret:
            raise ValueError("token_endpoint_auth_method none is a public client: leave client_secret out")
        return self

    @property
    def auth_method(self) -> AuthMethod:
        if self.token_endpoint_auth_method is not None:
            return self.token_endpoint_auth_method
        return "none" if self.client_secret is None and self.client_secret_file is None else "client_secret_basic"

    def secret(self) -> SecretStr | None:
        """The client secret, read from its file when one is named."""
        if self.client_secret_file is not None:
            return SecretStr(self.client_secret_file.read_text().strip())
        return self.client_secret


class ApplicationSettings(Model):
    """An application behind the gateway: who may address it, where it is, who signs its users in."""

    hosts: tuple[str, ...] = Field(min_length=1, description='host names without ports; "*" is every host')
    path_prefix: str = Field("/", description="where it is on its hosts; begins and ends with /")
    url: str | None = Field(None, description="its public address; default: gateway.url and path_prefix")
    upstream: str = Field(description="http://host:port or https://host:port")
    upstream_ca_file: Path | None = Field(
        None, description="what an https upstream is verified with; default: the system's authorities"
    )
    provider: str | None = Field(None, description="who signs its users in: a name in providers")
    public_paths: tuple[str, ...] = Field(
        (),
        description="paths that need no login, whole segments: /public/ is all below it, /robots.txt that one and what is below it",
    )
    exclude: bool = Field(False, description="never reaches the processor: no login, and no header of ours")
    escaped_slashes: Literal["reject", "keep"] = Field(
        "reject", description="%2F and %5C in paths: 400, or passed on as they came"
    )
    forward_access_token: bool = Field(
        False,
        description="authorization: Bearer ACCESS_TOKEN to the application, always valid; each of its requests then asks the processor",
    )
    strip_cookies: bool = Field(
        True,
        description="our cookies never reach the application; false: they do, and it can act as its users; Envoy saves little by it",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for host in self.hosts:
            if host != "*" and not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]", host):
                raise ValueError(f'hosts: {host[:80]!r} is no host name in lower case without a port (or "*")')
        if not re.fullmatch(r"/(?:[A-Za-z0-9._~-]+/)*", self.path_prefix):
            raise ValueError("path_prefix begins and ends with / and has plain segments, such as / or /wiki/")
        base_address(self.upstream, "upstream")
        if self.exclude and (self.provider or self.public_paths or self.forward_access_token):
            raise ValueError("exclude: true goes with neither provider nor public_paths nor forward_access_token")
        if not self.exclude and not self.provider:
            raise ValueError("provider is missing (or exclude: true, for no login at all)")
        for path in self.public_paths:
            if (
                not path.startswith(self.path_prefix)
                or not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+/?|/", path)
                or any(s in (".", "..") for s in path.split("/"))
            ):
                raise ValueError(f"public_paths: {path[:80]!r} is no plain path below path_prefix {self.path_prefix}")
            if path.startswith(self.path_prefix + "oauth2"):
                raise ValueError(f"public_paths: {path[:80]!r} is where our own endpoints are")
        if self.url is not None:
            base_address(self.url, "url", path=True)
            if not self.url.endswith(self.path_prefix):
                raise ValueError(f"url ends with path_prefix {self.path_prefix}")
        return self


class Identity(Model):
    """Which claims reach the application in which headers, and how long Envoy may believe an assertion."""

    header_prefix: str = Field(
        "x-auth-", pattern=r"^x-[a-z0-9-]*-$", description="every client header with this prefix is removed"
    )
    headers: dict[str, str] = Field(
        {"x-auth-sub": "sub", "x-auth-email": "email", "x-auth-name": "name", "x-auth-groups": "groups"},
        description="header: claim; a dot in a claim goes into an object, such as realm_access.roles",
    )
    assertion_lifetime: Duration = Field(
        60, description="how long Envoy lets a user through without asking us; 0: it always asks"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for header, claim in self.headers.items():
            if not re.fullmatch(r"[a-z0-9-]+", header) or not header.startswith(self.header_prefix):
                raise ValueError(
                    f"headers: {header[:80]!r} is no lower-case header name that begins with header_prefix {self.header_prefix}"
                )
            if not claim:
                raise ValueError(f"headers.{header}: the claim's name is missing")
        if self.headers.get(self.subject_header) != "sub":
            raise ValueError(
                f"headers must have {self.subject_header}: sub, by which Envoy knows that somebody is signed in"
            )
        if 0 < self.assertion_lifetime < 8 or self.assertion_lifetime > 3600:
            raise ValueError("assertion_lifetime is 0, or 8 s to 1 h")
        return self

    @property
    def subject_header(self) -> str:
        return self.header_prefix + "sub"


class SessionSettings(Model):
    """How long people stay signed in."""

    lifetime: Duration = Field(43_200, gt=0, description="absolute life of a session")
    idle: Duration = Field(3600, gt=0, description="a session ends when nothing was asked for so long")
    refresh: Literal["auto", "never"] = Field(
        "auto",
        description="auto: tokens are renewed where the provider gave a refresh token; a user whom it refuses is signed out",
    )
    refresh_margin: Duration = Field(
        30,
        le=3600,
        description="renew so long before the access token ends; at most half its life, and earlier by a jitter",
    )
    logout: Literal["all", "application"] = Field(
        "all",
        description="what a logout ends: this browser's sessions of all applications with that provider, or the one",
    )


class Timeouts(Model):
    """Deadlines. The generated Envoy configuration follows them."""

    connect: Duration = Field(2, gt=0, description="connecting to a provider")
    call: Duration = Field(5, gt=0, le=600, description="one call to a provider, connecting included")
    callback: Duration = Field(15, gt=0, le=1800, description="a whole callback")
    message: Duration = Field(10, ge=1, le=1800, description="how long Envoy waits for the processor's first word")
    drain: Duration = Field(20, description="how long held logins may finish after SIGTERM")
    clock_skew: float = Field(60, ge=0, le=60, description="seconds that a provider's clock may differ")

    def held(self, lane: str) -> float:
        """Seconds that work of a lane may take; a lookup may turn out to be a callback, anything else makes two calls at most."""
        return self.callback if lane in ("callback", "lookup") else self.call * 2

    @property
    def longest_held(self) -> float:
        return max(self.callback, self.call * 2)


class Limits(Model):
    """How much is in hand at once; beyond it: 503 with Retry-After, nothing consumed."""

    streams: Count = Field(20_000, description="requests at the processor, of all lanes")
    callback: Count = Field(2_000, description="logins that are being finished, whichever the provider")
    login: Count = Field(2_000, description="login starts that wait for a provider's metadata")
    lookup: Count = Field(2_000, description="requests that wait for a busy session store")
    refresh: Count = Field(2_000, description="requests that wait for their session's tokens to be renewed")
    logout: Count = Field(500, description="logouts under way")
    provider_logout: Count = Field(
        200, description="logouts under way that a provider started, by itself or in a frame"
    )
    per_provider: Count = Field(1_000, description="callbacks at one provider")
    connects: Count = Field(
        50, description="connections to one provider that are being made; more wait, within their deadline"
    )
    response_bytes: Count = Field(1_000_000, description="of a provider's answer")


class Tracing(Model):
    """Where spans go. OTEL_* variables of the OpenTelemetry SDK count as well."""

    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP base address for Envoy's spans and ours, such as http://collector:4318; default: our admin (and OTEL_*)",
    )
    sample: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of requests that Envoy starts a trace for; our own endpoints, so every login and logout, always have one",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is not None:
            base_address(self.endpoint, "endpoint", path=True)
        return self


class Log(Model):
    """The processor's log, on stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG has a line for every request"
    )
    format: Literal["json", "text"] = Field("json", description="json lines, or text for a terminal; both on stderr")


class Settings(Model):
    """Everything: what `extproc serve`, `extproc envoy` and `extproc check` read."""

    secret: SecretStr | tuple[SecretStr, ...] | None = Field(
        None, description="32 bytes or more; a list is a key ring: the first seals, all open"
    )
    secret_file: Path | None = Field(None, description="a file with the secret, or one a line")
    listen: Listen = Field(Address(host="127.0.0.1", port=9500), description="where Envoy speaks to the processor")
    admin: Listen = Field(
        Address(host="127.0.0.1", port=9490),
        description="probes and traces of all workers, http; takes OTLP at /v1/traces",
    )
    workers: Workers = Field(
        1,
        description="processes, each with an address of its own: from listen the ports that follow, or x.1.sock, x.2.sock; auto: one a CPU",
    )
    gateway: Gateway = Field(Gateway(), description="Envoy's listener")
    providers: dict[Name, ProviderSettings] = Field({}, description="by name")
    applications: dict[Name, ApplicationSettings] = Field(
        min_length=1, description="by name; the name is in its cookies' names"
    )
    identity: Identity = Field(Identity(), description="what applications are told")
    session: SessionSettings = Field(SessionSettings(), description="how long people stay signed in")
    store: StoreSettings = Field(SQLiteSettings(), description="where sessions are kept")
    timeouts: Timeouts = Field(Timeouts(), description="deadlines")
    limits: Limits = Field(Limits(), description="how much at once")
    tracing: Tracing = Field(Tracing(), description="where spans go")
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
        for name, application in self.applications.items():
            if application.provider is not None and application.provider not in self.providers:
                known = ", ".join(self.providers) or "none"
                raise ValueError(
                    f"applications.{name}.provider: there is no provider {application.provider!r}; there are: {known}"
                )
            if "extproc-assertion-" in name:
                raise ValueError(
                    f"applications.{name}: a name with extproc-assertion- in it looks like a cookie of ours"
                )
            if not application.exclude:
                host = urlsplit(self.url(name)).hostname or ""
                host = f"[{host}]" if ":" in host else host
                if "*" not in application.hosts and host not in application.hosts:
                    raise ValueError(
                        f"applications.{name}: its url {self.url(name)} is on {host}, which is not among its hosts; set url or add the host"
                    )
        if self.worker_count > 1 and not shares_tombstones(self.store):
            raise ValueError(
                "workers: with store.kind cookie, several need store.tombstones; each would know alone which logins and sessions are over"
            )
        self._check_backchannel_logout()
        self._check_overlaps()
        self._check_endpoints()
        return self

    def check_ring(self) -> None:
        for secret in self.ring():
            length = len(secret.get_secret_value().encode())
            if length < MINIMUM_SECRET:
                raise ValueError(f"secret has {length} bytes; {MINIMUM_SECRET} or more are needed ({HOW_TO_MAKE_ONE})")

    def _check_listeners(self) -> None:
        """A port that two listeners want would be said by whichever came second, in its own words."""
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
                    whose = f"the address of worker {number} of workers: {len(listens)}, counted from listen"
                    raise ValueError(
                        f"{key}: {other} is {whose if len(listens) > 1 else 'listen, too'}; choose another port for {key} or listen"
                    )
        if gateway.processors and len(gateway.processors) < len(listens):
            raise ValueError(
                f"gateway.processors lists {len(gateway.processors)} of the {len(listens)} addresses of workers: "
                f"Envoy would never call the rest; list each worker of every machine, or leave it out"
            )

    def _check_backchannel_logout(self) -> None:
        for name in dict.fromkeys(application.provider for application in self.applications.values()):
            if name is not None and self.providers[name].backchannel_logout and not shares_tombstones(self.store):
                raise ValueError(
                    f"providers.{name}.backchannel_logout: sessions are in cookies, so a provider can end them only"
                    " where a store remembers it: set store.tombstones, or backchannel_logout: false"
                )

    def _check_overlaps(self) -> None:
        taken: dict[tuple[str, str], str] = {}
        for name, application in self.applications.items():
            for host in application.hosts:
                other = taken.setdefault((host, application.path_prefix), name)
                if other != name:
                    raise ValueError(
                        f"applications.{name}: {other} has the host {host} with path_prefix {application.path_prefix} already"
                    )

    def _check_endpoints(self) -> None:
        """No application may lie where another one's own endpoints are: a code would reach it."""
        for name, application in self.applications.items():
            for other, owner in self.applications.items():
                shared = set(application.hosts) & set(owner.hosts) or "*" in application.hosts + owner.hosts
                if not owner.exclude and shared and application.path_prefix.startswith(f"{owner.path_prefix}oauth2/"):
                    raise ValueError(
                        f"applications.{name}: path_prefix {application.path_prefix} lies among the endpoints of {other}"
                    )

    def ring(self) -> tuple[SecretStr, ...]:
        """The key ring: the first seals, all open."""
        if self.secret_file is not None:
            return tuple(SecretStr(line.strip()) for line in self.secret_file.read_text().splitlines() if line.strip())
        if isinstance(self.secret, SecretStr):
            return (self.secret,)
        return self.secret or ()

    @property
    def worker_count(self) -> int:
        """How many processes; auto is what this process may run on, so it is asked where they will run."""
        return min(len(os.sched_getaffinity(0)), MAXIMUM_WORKERS) if self.workers == "auto" else self.workers

    @property
    def listens(self) -> tuple[Address, ...]:
        """The address of each worker."""
        if (count := self.worker_count) == 1:
            return (self.listen,)
        return tuple(of_worker(self.listen, number) for number in range(1, count + 1))

    @property
    def protected(self) -> tuple[str, ...]:
        """The applications that have a login."""
        return tuple(name for name, application in self.applications.items() if application.provider is not None)

    def url(self, name: str) -> str:
        """An application's public address; it ends with its path_prefix."""
        application = self.applications[name]
        return application.url or self.gateway.url.rstrip("/") + application.path_prefix
