"""The protocol between the supervisor and a worker: one JSON object a line, on a socket that is the
worker's standard input.

The first line to a worker is Start, with the settings and their secrets: arguments and environment
hold nothing of them. The end of the stream means that the other side is gone.

    supervisor                  worker
    Start                ->     builds everything, opens its store
                         <-     Ready, or Failed
    Listen               ->     binds its address
                         <-     Serving, or Failed
    GetStatus            ->
                         <-     Status
    GetMetrics           ->
                         <-     MetricsText
    UpdateKeys           ->
                         <-     KeysUpdated
                         <-     Spans, at any time
    Drain                ->     finishes held requests and ends
"""

import base64
import dataclasses
import json
from dataclasses import dataclass

from extproc.addresses import Address, parse_address
from extproc.settings import Settings, from_text, to_text

LONGEST = 16_000_000  # bytes of a line: settings, or a batch of spans


@dataclass(frozen=True, slots=True)
class Start:
    """To a worker, first: its number (from 1), its address and the settings. The answer is Ready or
    Failed.
    """

    number: int
    listen: Address
    settings: Settings


@dataclass(frozen=True, slots=True)
class Listen:
    """To a worker: bind the address. The answer is Serving or Failed.

    predecessor: another worker has the address, and is about to leave it.
    """

    predecessor: bool = False


@dataclass(frozen=True, slots=True)
class UpdateKeys:
    """To a worker: use the key ring and the client secrets of these settings from now on. The
    answer is KeysUpdated.
    """

    settings: Settings


@dataclass(frozen=True, slots=True)
class Drain:
    """To a worker: leave the address, finish held requests, end. There is no answer."""


@dataclass(frozen=True, slots=True)
class GetStatus:
    """To a worker: report the status. The answer is Status."""


@dataclass(frozen=True, slots=True)
class GetMetrics:
    """To a worker: report the metrics. The answer is MetricsText."""


@dataclass(frozen=True, slots=True)
class Ready:
    """From a worker: everything is built, the store is open, and the providers are being fetched
    from.
    """


@dataclass(frozen=True, slots=True)
class Serving:
    """From a worker: the address is bound."""


@dataclass(frozen=True, slots=True)
class KeysUpdated:
    """From a worker: the keys and client secrets are in use."""


@dataclass(frozen=True, slots=True)
class Failed:
    """From a worker: it cannot do what was asked, and ends.

    detail: for the operator.
    """

    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """From a worker: how it is.

    missing: (part, reason) of what is not ready.
    gauges: (name, count) of what is in progress.
    checkers: how many clients have checked its health lately.
    """

    missing: tuple[tuple[str, str], ...]
    gauges: tuple[tuple[str, int], ...]
    checkers: int


@dataclass(frozen=True, slots=True)
class Spans:
    """From a worker: finished spans, as an OTLP ExportTraceServiceRequest."""

    otlp: bytes


@dataclass(frozen=True, slots=True)
class MetricsText:
    """From a worker: its metrics, as OpenMetrics text."""

    openmetrics: str


Message = (
    Start
    | Listen
    | UpdateKeys
    | KeysUpdated
    | Drain
    | GetStatus
    | GetMetrics
    | Ready
    | Serving
    | Failed
    | Status
    | MetricsText
    | Spans
)
# Messages whose fields are JSON values as they are.
_PLAIN = (Listen, KeysUpdated, Drain, GetStatus, GetMetrics, Ready, Serving, Failed, MetricsText)
_KINDS = {kind.__name__: kind for kind in _PLAIN}


def encode(message: Message) -> bytes:
    """The message as a line."""
    fields: dict[str, object]
    match message:
        case Start(number, listen, settings):
            fields = {"number": number, "listen": str(listen), "settings": to_text(settings)}
        case UpdateKeys(settings):
            fields = {"settings": to_text(settings)}
        case Spans(otlp):
            fields = {"otlp": base64.b64encode(otlp).decode()}
        case _:
            fields = dataclasses.asdict(message)
    return json.dumps({"kind": type(message).__name__, **fields}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """The message of a line.

    Raises ValueError, KeyError, TypeError or AttributeError if neither side of this protocol wrote
    it.
    """
    fields = json.loads(line)
    kind = fields.pop("kind")
    match kind:
        case "Start":
            listen = parse_address(fields["listen"])
            return Start(fields["number"], listen, from_text(fields["settings"]))
        case "UpdateKeys":
            return UpdateKeys(from_text(fields["settings"]))
        case "Spans":
            return Spans(base64.b64decode(fields["otlp"]))
        case "Status":
            return Status(
                missing=tuple((str(part), str(reason)) for part, reason in fields["missing"]),
                gauges=tuple((str(name), int(count)) for name, count in fields["gauges"]),
                checkers=fields["checkers"],
            )
    message: Message = _KINDS[kind](**fields)
    return message
