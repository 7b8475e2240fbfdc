"""Settings of traces, metrics and the log."""

from typing import Literal, Self

from pydantic import Field, model_validator

from extproc.settings.types import Duration, Model, called_address


class Tracing(Model):
    """Where spans are sent, and which traces are kept for the trace page. The OTEL_* variables of
    the OpenTelemetry SDK apply as well.
    """

    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP base address for the spans of Envoy and the processor, such as "
        "http://collector:4318; default: the processor's admin (and OTEL_*)",
    )
    sample: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of requests for which Envoy starts a trace; requests to the "
        "processor's own endpoints, so every login and logout, always have one",
    )

    kept: int = Field(
        200,
        ge=10,
        le=5000,
        description="number of traces in memory for the trace page; beyond it the oldest trace "
        "without a problem is dropped first",
    )
    slow: Duration = Field(
        1,
        gt=0,
        description="minimum duration of a slow span; traces with a slow span or an error stay in "
        "memory longer than the others (up to half of `kept`)",
    )
    users: bool = Field(
        False,
        description="record the user's `sub` as enduser.id in the spans of a login; off: no span "
        "identifies a user",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is not None:
            called_address(self.endpoint, "endpoint")
        return self


class Metrics(Model):
    """Where metrics are sent, in addition to `/metrics` on the admin, which Prometheus reads. The
    OTEL_* variables of the OpenTelemetry SDK apply as well.
    """

    endpoint: str | None = Field(
        None,
        description="OTLP/HTTP base address for metrics, such as http://collector:4318; default: "
        "none (and OTEL_*)",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.endpoint is not None:
            called_address(self.endpoint, "endpoint")
        return self


class Log(Model):
    """The processor's log, on stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="lowest level that is logged; DEBUG has a line for every request"
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto",
        description="json: JSON lines; text: lines for people; auto: text if stderr is a terminal, "
        "otherwise json",
    )
    users: Literal["none", "sub", "email"] = Field(
        "sub",
        description="how the log and Envoy's access log name users. none: not at all; email: by "
        "the claim email, and a user without a confirmed address by `sub`",
    )
