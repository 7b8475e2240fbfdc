"""The gateway: Envoy's listeners, and what it lets through."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from extproc.addresses import Address
from extproc.settings.types import Count, Duration, Listen, Model, Network, base_address


class TLS(Model):
    """The gateway's certificate chain and private key, PEM files."""

    certificate: Path = Field(description="the chain, its own certificate first")
    key: Path = Field(description="its private key")


class RateLimit(Model):
    """How often one client address may ask what Envoy cannot decide by itself: what needs a login,
    without an assertion.
    """

    per_second: int = Field(
        100, ge=0, le=1_000_000, description="requests a second, in the long run; 0: no limit"
    )
    burst: Count = Field(1_000, description="requests at once, after a rest")
    exempt: tuple[Network, ...] = Field(
        (),
        description="networks without a limit, such as 10.0.0.0/8; loopback and the processor's "
        "addresses always are",
    )


class Gateway(Model):
    """The listener of Envoy."""

    listen: Listen = Field(Address(host="127.0.0.1", port=8080), description="host:port")
    url: str = Field(
        "http://localhost:8080",
        description="its public address; https here makes cookies Secure, wherever TLS ends",
    )
    tls: TLS | None = Field(
        None,
        description="Envoy ends TLS itself; without it and with an https url, something before "
        "it does",
    )
    redirect_listen: Listen | None = Field(
        None, description="a plain http listener that sends everybody to https, such as 0.0.0.0:80"
    )
    hsts: Duration = Field(0, description="Strict-Transport-Security max-age; 0: not sent")
    access_log: str = Field(
        "/dev/stdout", description="where Envoy writes its access log, JSON lines"
    )
    admin: Listen | None = Field(
        None, description="Envoy's own admin listener; none by default. Keep it on loopback"
    )
    processors: tuple[Listen, ...] = Field(
        (),
        description="where Envoy finds the processor, one address a worker, of all machines; "
        "default: "
        "this machine's workers",
    )
    keys: tuple[Listen, ...] = Field(
        (),
        description="where Envoy gets the keys of assertions: the admin of each machine; "
        "default: this "
        "one's, or, with processors,"
        " none, and they stand in Envoy's configuration",
    )
    max_request_headers_kb: int = Field(
        60,
        ge=16,
        le=8192,
        description="what all headers of a request may have together, in kB; 431 beyond it. What "
        "Envoy "
        "and the processor do with them is"
        " linear in it; a neighbouring host of the same domain can fill it with cookies",
    )
    trusted_hops: int = Field(
        0, ge=0, le=16, description="proxies in front of Envoy whose X-Forwarded-For is believed"
    )
    rate_limit: RateLimit = Field(
        RateLimit(), description="per client address, the one after trusted_hops"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        base_address(self.url, "url")
        if self.tls and not self.url.startswith("https://"):
            raise ValueError("tls is set, so url begins with https://")
        if self.redirect_listen and not self.url.startswith("https://"):
            raise ValueError("redirect_listen needs a url that begins with https://")
        for address in self.keys:
            if address.path is not None:
                raise ValueError(f"keys: {address} is no host:port, as an admin address is")
        if self.listen.path is not None:
            raise ValueError("listen is host:port: Envoy's listener cannot be a unix socket here")
        return self
