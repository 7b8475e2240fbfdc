"""Settings of traces, metrics and the log."""

from typing import Literal, Self

from pydantic import Field, model_validator

from extproc.settings.types import Duration, Model, called_address


class Tracing(Model):
    """Where spans go. OTEL_* variables of the OpenTelemetry SDK count as well."""

    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP base address for Envoy's spans and ours, such as "
        "http://collector:4318; "
        "default: our admin (and OTEL_*)",
    )
    sample: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of requests that Envoy starts a trace for; our own endpoints, so "
        "every login "
        "and logout, always have one",
    )

    kept: int = Field(
        200,
        ge=10,
        le=5000,
        description="traces in memory for the trace page; when there are more, the oldest good "
        "one goes "
        "first",
    )
    slow: Duration = Field(
        1,
        gt=0,
        description="traces with an error, or with a span that lasts so long, outlive the others "
        "there "
        "(up to half of `kept`)",
    )
    users: bool = Field(
        False,
        description="the user's `sub` as enduser.id of the spans of a login; off: no span names "
        "a user",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is not None:
            called_address(self.endpoint, "endpoint")
        return self


class Metrics(Model):
    """Where metrics go besides `/metrics` of the admin, which Prometheus reads. OTEL_* variables of
    the OpenTelemetry SDK count as well.
    """

    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP base address for metrics, such as http://collector:4318; default: "
        "nowhere (and OTEL_*)",
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
        "auto",
        description="json lines, or text for people, both on stderr; auto: text where that is a "
        "terminal",
    )
