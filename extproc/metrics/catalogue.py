"""All metrics: name, kind, unit, labels and meaning. docs/metrics.md is made from this catalogue.

Names are OpenTelemetry's (dots, the unit beside the name). Prometheus' names follow from them by
the usual rule: `extproc.decision.duration` in `s` is `extproc_decision_duration_seconds`, and a
counter ends in `_total`.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
_UNITS = {"": "", "s": "_seconds", "By": "_bytes"}

# upper bounds of buckets, in seconds
QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
CALLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
STORE = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


@dataclass(frozen=True, slots=True)
class Instrument:
    """A metric."""

    # OpenTelemetry's name
    name: str
    kind: Kind
    # its meaning, one sentence or two
    text: str
    labels: tuple[str, ...] = ()
    # UCUM; "" for a count
    unit: str = ""
    # upper bounds of a histogram, in its unit
    buckets: tuple[float, ...] = ()

    @property
    def family(self) -> str:
        """Prometheus' name, without the `_total` of a counter."""
        return self.name.replace(".", "_") + _UNITS[self.unit]

    @property
    def exposed(self) -> str:
        """Prometheus' name."""
        return self.family + ("_total" if self.kind == "counter" else "")


_declared: list[Instrument] = []


def _declare(instrument: Instrument) -> Instrument:
    _declared.append(instrument)
    return instrument


def _counter(name: str, text: str, *labels: str) -> Instrument:
    return _declare(Instrument(name, "counter", text, labels))


def _gauge(name: str, text: str, *labels: str, unit: str = "") -> Instrument:
    return _declare(Instrument(name, "gauge", text, labels, unit))


def _seconds(name: str, buckets: tuple[float, ...], text: str, *labels: str) -> Instrument:
    return _declare(Instrument(name, "histogram", text, labels, "s", buckets))


REQUESTS = _counter(
    "extproc.requests",
    "Requests that were answered, by the reason of the answer.",
    "step",
    "application",
    "reason",
)
WOULD_REFUSE = _counter(
    "extproc.shadow.refusals",
    "Requests that passed, and that a rule in shadow mode would have refused (mode: shadow).",
    "application",
    "rule",
)
DECISIONS = _seconds(
    "extproc.decision.duration",
    QUICK,
    "From the start of a stream to its answer, including the time for which a request is held.",
    "step",
)
STREAMS = _counter(
    "extproc.streams",
    "Streams by how they ended: answered; cancelled by Envoy, because its client left; aborted, "
    "because the peer broke the protocol; unanswered because of a bug, which must be 0.",
    "outcome",
)
CALLED = _counter(
    "extproc.provider.calls", "Calls to a provider.", "provider", "endpoint", "outcome"
)
CALL_SECONDS = _seconds(
    "extproc.provider.call.duration", CALLS, "A call to a provider.", "provider", "endpoint"
)
REFRESHES = _counter(
    "extproc.refreshes",
    "Sessions whose tokens were due: renewed; failed, and tried again later; ended, because the "
    "provider refused to renew them.",
    "provider",
    "outcome",
)
STORE_SECONDS = _seconds(
    "extproc.store.operation.duration",
    STORE,
    "An operation of the session store, including failed ones.",
    "store",
    "operation",
)
STORE_ERRORS = _counter(
    "extproc.store.errors", "Operations of the session store that failed.", "store", "operation"
)
LAG = _seconds(
    "extproc.loop.lag",
    LAGS,
    "How much later than due a timer fires, measured twice a second.",
    "loop",
)
RELOADS = _counter(
    "extproc.settings.reloads",
    "Settings read again: success; failure, in which case the old settings stay.",
    "outcome",
)

BACKGROUND_FAILURES = _counter(
    "extproc.background.failures",
    "Errors of background work, which must be 0: each is logged (`background_failed`), and the "
    "work starts again after a pause.",
    "place",
)

IN_FLIGHT = _gauge("extproc.streams.in_flight", "Streams that are being served.")
STREAMS_LIMIT = _gauge(
    "extproc.streams.limit", "Most streams that may be served at the same time (limits.streams)."
)
HELD = _gauge("extproc.held", "Requests that are held now, and live streams.", "step")
HELD_LIMIT = _gauge(
    "extproc.held.limit", "Most requests that may be held at the same time.", "step"
)
HELD_OLDEST = _gauge(
    "extproc.held.oldest_age",
    "How long the oldest held request has been held; 0 when none is.",
    "step",
    unit="s",
)
WORK = _gauge("extproc.work", "Pieces of work in trio, including those whose client has left.")
WAITING = _gauge(
    "extproc.turnstile.waiting", "Responses of providers that wait for their turn on the CPU."
)
CONNECTS_WAITING = _gauge(
    "extproc.provider.connects.waiting", "Calls that wait for their turn to connect.", "provider"
)
CALLS_IN_FLIGHT = _gauge("extproc.provider.calls.in_flight", "Calls under way.", "provider")
BREAKER = _gauge(
    "extproc.provider.breaker.open",
    "1 while no call for metadata is tried, because one failed a moment ago.",
    "provider",
)
PROVIDER_READY = _gauge(
    "extproc.provider.ready", "1 when metadata and key set are loaded.", "provider"
)
METADATA_AGE = _gauge(
    "extproc.provider.metadata.age", "Time since the metadata was fetched.", "provider", unit="s"
)
KEYS_AGE = _gauge(
    "extproc.provider.keys.age",
    "Time since the provider's key set was fetched.",
    "provider",
    unit="s",
)
STORE_READY = _gauge(
    "extproc.store.ready",
    "1 when the store can be used; 0 also while its breaker is open.",
    "store",
)
SESSIONS = _gauge(
    "extproc.sessions",
    "Sessions in the store, counted once a minute; workers that share a store report the same "
    "number. Absent for Redis and cookies, where counting would be expensive.",
    "store",
)
TRIO_TASKS = _gauge("extproc.trio.tasks", "Tasks of trio.")
ASYNCIO_TASKS = _gauge("extproc.asyncio.tasks", "Tasks of asyncio.")
RING = _gauge(
    "extproc.sealing_keys", "Secrets in the key ring; more than 1 while they are being changed."
)
KEY = _gauge(
    "extproc.assertion_key.info",
    "Always 1: the key ids of the identity assertion that are published.",
    "kid",
)
BUILD = _gauge(
    "extproc.build.info", "Always 1: the versions that run.", "version", "python", "grpc", "trio"
)
GENERATION = _gauge("extproc.settings.generation", "1 at the start, and 1 more after each reload.")
LOADED = _gauge(
    "extproc.settings.loaded.timestamp",
    "When the settings in use were read, in Unix time.",
    unit="s",
)
WORKERS = _gauge("extproc.workers", "Workers that serve and answer the supervisor.")
WORKERS_WANTED = _gauge("extproc.workers.wanted", "Workers that there should be.")

# in the order of this module
CATALOGUE = tuple(_declared)
