"""What a supervisor and its workers say to each other: one JSON object a line, on a socket that is
the worker's standard input.

The first line to a worker is its Start, settings with secrets included: nothing of that stands in
arguments or environment. Whoever reads the end of the stream has lost the other side.
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
    """To a worker: who it is. It gets everything ready, says Ready, and waits for Listen."""

    number: int
    listen: Address
    settings: Settings


@dataclass(frozen=True, slots=True)
class Listen:
    """To a worker: take the address, as soon as its predecessor has left it, if there is one; the
    answer is Serving or Failed.
    """

    predecessor: bool = False


@dataclass(frozen=True, slots=True)
class UpdateKeys:
    """To a worker: from now on with the key ring and the client secrets of these settings. The
    answer is KeysUpdated.
    """

    settings: Settings


@dataclass(frozen=True, slots=True)
class Drain:
    """To a worker: leave, finish what is held, end."""


@dataclass(frozen=True, slots=True)
class GetStatus:
    """To a worker: how are you? The answer is a Status."""


@dataclass(frozen=True, slots=True)
class GetMetrics:
    """To a worker: what are your metrics? The answer is a MetricsText."""


@dataclass(frozen=True, slots=True)
class Ready:
    """It has built everything, opened the store, and looks for its providers."""


@dataclass(frozen=True, slots=True)
class Serving:
    """It has its address."""


@dataclass(frozen=True, slots=True)
class KeysUpdated:
    """It has what it was told to take."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It cannot do what it was asked for, and ends; detail is for the operator."""

    detail: str


@dataclass(frozen=True, slots=True)
class Status:
    """missing: (part, reason) of what is not ready; gauges: (name, count); checkers: how many check
    its health.
    """

    missing: tuple[tuple[str, str], ...]
    gauges: tuple[tuple[str, int], ...]
    checkers: int


@dataclass(frozen=True, slots=True)
class Spans:
    """Finished spans, as OTLP has them (ExportTraceServiceRequest)."""

    otlp: bytes


@dataclass(frozen=True, slots=True)
class MetricsText:
    """The worker's metrics, as OpenMetrics text."""

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
_KINDS = {
    kind.__name__: kind
    for kind in (
        Listen,
        KeysUpdated,
        Drain,
        GetStatus,
        GetMetrics,
        Ready,
        Serving,
        Failed,
        MetricsText,
    )
}


def encode(message: Message) -> bytes:
    match message:
        case Start(number, listen, settings):
            said: dict[str, object] = {
                "number": number,
                "listen": str(listen),
                "settings": to_text(settings),
            }
        case UpdateKeys(settings):
            said = {"settings": to_text(settings)}
        case Spans(otlp):
            said = {"otlp": base64.b64encode(otlp).decode()}
        case _:
            said = dataclasses.asdict(message)
    return json.dumps({"kind": type(message).__name__, **said}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Raises ValueError, KeyError and the like on what no side of ours has written."""
    said = json.loads(line)
    match kind := said.pop("kind"):
        case "Start":
            return Start(said["number"], parse_address(said["listen"]), from_text(said["settings"]))
        case "UpdateKeys":
            return UpdateKeys(from_text(said["settings"]))
        case "Spans":
            return Spans(base64.b64decode(said["otlp"]))
        case "Status":
            missing = tuple((str(part), str(reason)) for part, reason in said["missing"])
            return Status(
                missing, tuple((str(name), int(n)) for name, n in said["gauges"]), said["checkers"]
            )
    message: Message = _KINDS[kind](**said)
    return message
