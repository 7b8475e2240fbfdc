"""Push the metrics as OTLP: OpenTelemetry's names and units, cumulative sums, exemplars. Runs in
trio.

Only the exporter is OpenTelemetry's. Its instruments would cost several times as much in the inline
lane as prometheus_client's.
"""

import logging
import os
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise

import trio
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as OTLPMetric
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar as PrometheusExemplar
from prometheus_client.samples import Sample

from extproc.metrics.catalogue import CATALOGUE
from extproc.metrics.process import ProcessMetrics

EVERY = 60.0  # seconds, unless OTEL_METRIC_EXPORT_INTERVAL is set
LAST = 2.0  # seconds that the last export may take
_LOGGER = logging.getLogger("extproc")
_INSTRUMENTS = {instrument.family: instrument for instrument in CATALOGUE}
_CUMULATIVE = AggregationTemporality.CUMULATIVE


def exporter(endpoint: str | None) -> OTLPMetricExporter | None:
    """The exporter to an OTLP/HTTP base address, or else to the address in the OTEL_* variables.

    None when neither is set, or when OTEL_METRICS_EXPORTER turns the variables off.
    """
    if endpoint is not None:
        return OTLPMetricExporter(endpoint=endpoint.rstrip("/") + "/v1/metrics")
    variables = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
    if not any(os.environ.get(variable) for variable in variables):
        return None
    if os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "otlp":
        return None
    return OTLPMetricExporter()


def interval() -> float:
    """Seconds between two exports."""
    milliseconds = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return max(0.1, int(milliseconds) / 1000) if milliseconds.isdecimal() else EVERY


async def export(metrics: ProcessMetrics, endpoint: str | None, worker: str) -> None:
    """Export at intervals until cancelled, and then once more.

    Metrics that cannot be delivered are lost, which the exporter logs.

    Args:
        metrics: What to export.
        endpoint: An OTLP/HTTP base address; None for the OTEL_* variables (`exporter`).
        worker: The number of this process, for its label.
    """
    destination = exporter(endpoint)
    if destination is not None:
        await _export(metrics, destination, worker)


async def _export(metrics: ProcessMetrics, destination: OTLPMetricExporter, worker: str) -> None:
    resource = Resource.create(
        {"service.name": "extproc", "service.instance.id": f"{os.uname().nodename}/{worker}"}
    )

    async def once() -> None:
        data = metrics_data(metrics.families(), resource, worker, metrics.started, time.time())
        try:
            await trio.to_thread.run_sync(destination.export, data, abandon_on_cancel=True)
        except Exception as error:  # an exporter's error must not end the export
            _LOGGER.warning("metrics_not_exported", extra={"detail": type(error).__name__})

    try:
        while True:
            await trio.sleep(interval())
            await once()
    finally:
        try:
            with trio.move_on_after(LAST, shield=True):
                await once()
        finally:
            destination.shutdown()


def metrics_data(
    families: Iterable[Metric], resource: Resource, worker: str, started: float, now: float
) -> MetricsData:
    """Convert metric families to OpenTelemetry's data model.

    Args:
        families: What was collected.
        resource: The process that they are of.
        worker: The number of the process, for its label.
        started: When the counting began, in seconds since the epoch.
        now: When the families were collected, in seconds since the epoch.
    """
    start_ns, now_ns = int(started * 1e9), int(now * 1e9)
    metrics = [_metric(family, worker, start_ns, now_ns) for family in families]
    scope = ScopeMetrics(InstrumentationScope("extproc"), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Metric, worker: str, start: int, now: int) -> OTLPMetric:
    instrument = _INSTRUMENTS.get(family.name)
    name = instrument.name if instrument is not None else family.name
    unit = instrument.unit if instrument is not None else family.unit
    samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
    data: Sum | Gauge | Histogram
    match family.type:
        case "counter":
            data = Sum(
                [_number(sample, worker, start, now) for sample in samples],
                _CUMULATIVE,
                is_monotonic=True,
            )
        case "histogram":
            data = Histogram(_histograms(samples, worker, start, now), _CUMULATIVE)
        case _:
            data = Gauge([_number(sample, worker, start, now) for sample in samples])
    return OTLPMetric(name, family.documentation, unit, data)


def _number(sample: Sample, worker: str, start: int, now: int) -> NumberDataPoint:
    return NumberDataPoint({**sample.labels, "worker": worker}, start, now, float(sample.value))


def _histograms(
    samples: Sequence[Sample], worker: str, start: int, now: int
) -> list[HistogramDataPoint]:
    """Convert Prometheus' cumulative buckets, one sample each, to points with a count for each
    bucket.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        labels = tuple(item for item in sample.labels.items() if item[0] != "le")
        groups.setdefault(labels, []).append(sample)
    return [
        _histogram({**dict(labels), "worker": worker}, group, start, now)
        for labels, group in groups.items()
    ]


def _histogram(
    attributes: dict[str, str], group: Sequence[Sample], start: int, now: int
) -> HistogramDataPoint:
    buckets = [sample for sample in group if sample.name.endswith("_bucket")]
    counts = [
        int(after - before)
        for before, after in pairwise([0.0, *(bucket.value for bucket in buckets)])
    ]
    total = next((sample.value for sample in group if sample.name.endswith("_sum")), 0.0)
    return HistogramDataPoint(
        attributes=attributes,
        start_time_unix_nano=start,
        time_unix_nano=now,
        count=sum(counts),
        sum=total,
        bucket_counts=counts,
        explicit_bounds=[float(bucket.labels["le"]) for bucket in buckets[:-1]],
        # neither is known, and both are optional in the protocol
        min=None,  # type: ignore[arg-type]
        max=None,  # type: ignore[arg-type]
        exemplars=[_exemplar(bucket.exemplar) for bucket in buckets if bucket.exemplar is not None],
    )


def _exemplar(exemplar: PrometheusExemplar) -> Exemplar:
    return Exemplar(
        {},
        exemplar.value,
        int(float(exemplar.timestamp or 0) * 1e9),
        int(exemplar.labels["span_id"], 16),
        int(exemplar.labels["trace_id"], 16),
    )
