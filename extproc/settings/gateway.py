"""Settings of Envoy: its listeners, and the requests that it accepts."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from extproc.addresses import Address
from extproc.settings.client_headers import check_kept
from extproc.settings.types import Count, Duration, Listen, Model, Network, base_address


class TLS(Model):
    """The certificate chain and private key of Envoy's listener, as PEM files, and the authorities
    of its clients. Envoy reads chain and key again after each rename (`mv`) in the certificate's
    directory.
    """

    certificate: Path = Field(description="file with the certificate chain, the leaf first")
    key: Path = Field(description="file with the private key")
    client_ca_file: Path | None = Field(
        None,
        description="file with the authorities of client certificates (PEM): Envoy asks each "
        "client for one, and refuses the connection of a client that shows another; clients "
        "without one connect as before. Envoy reads it again after a rename in its directory; "
        "default: no client is asked",
    )


class RateLimit(Model):
    """How often one client address may send requests that Envoy cannot decide by itself, that is,
    requests to a protected path without an assertion.
    """

    per_second: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="requests a second that are allowed in the long run; 0: no limit",
    )
    burst: Count = Field(300, description="requests that are allowed at once after a pause")
    network_factor: int = Field(
        8,
        ge=0,
        le=1000,
        description="how many times as much a network of addresses may send together: a /24 of "
        "IPv4, a /56 of IPv6, and a /48 of IPv6 four times that; 0: no limit for networks",
    )
    exempt: tuple[Network, ...] = Field(
        (),
        description="networks without a limit, such as 10.0.0.0/8; loopback never has one, nor "
        "have addresses in listen and gateway.processors (but names in them do)",
    )


class Gateway(Model):
    """Envoy's listeners, and how Envoy and the processor find each other."""

    listen: Listen = Field(
        Address(host="127.0.0.1", port=8080),
        description="host:port of Envoy's listener",
        json_schema_extra={"default": "127.0.0.1:8080"},
    )
    url: str = Field(
        "http://localhost:8080",
        description="public address of the gateway; https makes cookies Secure, wherever TLS ends",
    )
    tls: TLS | None = Field(
        None,
        description="certificate with which Envoy terminates TLS; without it and with an https "
        "url, a proxy in front of Envoy terminates TLS",
    )
    sds_directory: Path = Field(
        Path("envoy-sds"),
        description="directory, on Envoy's machine, of the files by which Envoy finds each "
        "certificate, key and authority and reads it again when it is replaced (SDS); `extproc "
        "envoy` writes them there. They name files and hold no key",
        json_schema_extra={"default": "envoy-sds"},
    )
    redirect_listen: Listen | None = Field(
        None,
        description="host:port of a plain http listener that redirects every request to https, "
        "such as 0.0.0.0:80",
    )
    hsts: Duration = Field(
        0,
        description="max-age of the Strict-Transport-Security header; 0: no such header. An "
        "application with path_prefix / may set its own instead; below another path_prefix Envoy "
        "takes the application's out, because the header is for the whole host",
    )
    access_log: str = Field(
        "/dev/stdout", description="file to which Envoy writes its access log, as JSON lines"
    )
    admin: Listen | None = Field(
        None,
        description="address of Envoy's own admin listener, on loopback or, better, a unix "
        "socket (`admin_mode`), because every user of the machine could stop Envoy by a port; "
        "default: no such listener",
    )
    processors: tuple[Listen, ...] = Field(
        (),
        description="addresses at which Envoy reaches the processor: each worker of every "
        "machine; default: the workers of this machine",
    )
    keys: tuple[Listen, ...] = Field(
        (),
        description="addresses from which Envoy fetches the keys of assertions: the admin of "
        "every machine; default: the admin of this machine or, with processors, none: then the "
        "keys are part of Envoy's configuration",
    )
    max_request_headers_kb: int = Field(
        60,
        ge=16,
        # Envoy reads 36 kB more for all headers, and accepts no bound above 8192.
        le=8156,
        description="maximum size of a request's cookies together, in kB; a browser with more "
        "gets a 431 page and deletes its cookies. All headers may have 36 kB more. The work per "
        "request grows linearly with it, and a neighbouring host of the same domain can fill it "
        "with cookies",
    )
    trusted_hops: int = Field(
        0,
        ge=0,
        le=16,
        description="number of proxies in front of Envoy whose X-Forwarded-For is trusted, and "
        "whose Forwarded, X-Forwarded-Host, X-Real-IP and similar headers reach applications",
    )
    kept_headers: tuple[str, ...] = Field(
        (),
        description="headers that a client may send to applications although Envoy removes them "
        "otherwise (docs/topologies.md), such as x-http-method-override",
    )
    rate_limit: RateLimit = Field(
        RateLimit(),
        description="limit for each client address, which is read according to trusted_hops",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        base_address(self.url, "url")
        check_kept(self.kept_headers)
        if self.tls and not self.url.startswith("https://"):
            raise ValueError("tls is set, so url begins with https://")
        if self.redirect_listen and not self.url.startswith("https://"):
            raise ValueError("redirect_listen needs a url that begins with https://")
        if self.hsts != int(self.hsts):
            raise ValueError("hsts is a duration of whole seconds, such as 365d")
        if self.listen.path is not None:
            raise ValueError("listen is host:port: Envoy's listener cannot be a unix socket here")
        return self

    @property
    def client_ca_file(self) -> Path | None:
        """The authorities of client certificates; None where Envoy asks for none."""
        return self.tls.client_ca_file if self.tls is not None else None
