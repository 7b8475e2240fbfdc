"""How long, how much, and what is written down meanwhile."""

from typing import Literal, Self

from pydantic import Field, model_validator

from extproc.settings.types import Count, Duration, Model, called_address


class SessionSettings(Model):
    """How long people stay signed in."""

    lifetime: Duration = Field(43_200, gt=0, description="absolute life of a session")
    idle: Duration = Field(3600, gt=0, description="a session ends when nothing was asked for so long")
    per_user: Count | None = Field(
        None,
        description="sessions of one user at one application; one more login ends the oldest; needs a store. Default: any number",
    )
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
    live: Count = Field(10_000, description="live streams that end with their session (applications.NAME.end_streams)")
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

    kept: int = Field(
        200,
        ge=10,
        le=5000,
        description="traces in memory for the trace page; when there are more, the oldest good one goes first",
    )
    slow: Duration = Field(
        1,
        gt=0,
        description="traces with an error, or with a span that lasts so long, outlive the others there (up to half of `kept`)",
    )
    users: bool = Field(
        False, description="the user's `sub` as enduser.id of the spans of a login; off: no span names a user"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is not None:
            called_address(self.endpoint, "endpoint")
        return self


class Metrics(Model):
    """Where metrics go besides `/metrics` of the admin, which Prometheus reads. OTEL_* variables of the OpenTelemetry SDK count as well."""

    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP base address for metrics, such as http://collector:4318; default: nowhere (and OTEL_*)",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is not None:
            called_address(self.endpoint, "endpoint")
        return self


class Log(Model):
    """The processor's log, on stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="DEBUG has a line for every request"
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="json lines, or text for people, both on stderr; auto: text where that is a terminal"
    )
