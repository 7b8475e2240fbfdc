"""The same numbers as OTLP, for whoever collects by pushing: OpenTelemetry's names, units,
cumulative sums, exemplars. Runs in trio.

Only the exporter is OpenTelemetry's; its instruments would cost several times as much in the inline
lane.
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
from prometheus_client.samples import Sample

from extproc.metrics.catalogue import CATALOGUE
from extproc.metrics.process import ProcessMetrics

EVERY = 60.0  # seconds, where OTEL_METRIC_EXPORT_INTERVAL says nothing
LAST = 2.0  # seconds that the last export may take
_LOGGER = logging.getLogger("extproc")
_KNOWN = {instrument.family: instrument for instrument in CATALOGUE}
_CUMULATIVE = AggregationTemporality.CUMULATIVE


def exporter(endpoint: str | None) -> OTLPMetricExporter | None:
    """Where metrics go: to an OTLP/HTTP base address, or where the OTEL_* variables say, or
    nowhere.
    """
    if endpoint is not None:
        return OTLPMetricExporter(endpoint=endpoint.rstrip("/") + "/v1/metrics")
    named = any(
        os.environ.get(f"OTEL_EXPORTER_OTLP_{name}") for name in ("ENDPOINT", "METRICS_ENDPOINT")
    )
    return (
        OTLPMetricExporter()
        if named and os.environ.get("OTEL_METRICS_EXPORTER", "otlp") == "otlp"
        else None
    )


def interval() -> float:
    """Seconds between two exports."""
    said = os.environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return max(0.1, int(said) / 1000) if said.isdecimal() else EVERY


async def export(metrics: ProcessMetrics, endpoint: str | None, worker: str) -> None:
    """Until it is cancelled, and then once more. What cannot be delivered is lost, and the
    exporter's log says so. See exporter().
    """
    if (to := exporter(endpoint)) is not None:
        await _export(metrics, to, worker)


async def _export(metrics: ProcessMetrics, to: OTLPMetricExporter, worker: str) -> None:
    resource = Resource.create(
        {"service.name": "extproc", "service.instance.id": f"{os.uname().nodename}/{worker}"}
    )

    async def once() -> None:
        data = metrics_data(metrics.families(), resource, worker, metrics.started, time.time())
        try:
            await trio.to_thread.run_sync(to.export, data, abandon_on_cancel=True)
        except Exception as error:  # nothing that an exporter meets is worth more than the numbers
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
            to.shutdown()


def metrics_data(
    families: Iterable[Metric], resource: Resource, worker: str, started: float, now: float
) -> MetricsData:
    """started, now: seconds since the epoch, when the counting began and when these were read."""
    span = (int(started * 1e9), int(now * 1e9))
    made = [_metric(family, worker, *span) for family in families]
    scope = ScopeMetrics(InstrumentationScope("extproc"), made, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Metric, worker: str, start: int, now: int) -> OTLPMetric:
    known = _KNOWN.get(family.name)
    name, unit = (known.name, known.unit) if known is not None else (family.name, family.unit)
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
    """Prometheus' cumulative buckets, one sample each, as points with a count for each bucket."""
    of: dict[tuple[tuple[str, str], ...], list[Sample]] = {}
    for sample in samples:
        labels = tuple(item for item in sample.labels.items() if item[0] != "le")
        of.setdefault(labels, []).append(sample)
    return [
        _histogram({**dict(labels), "worker": worker}, group, start, now)
        for labels, group in of.items()
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
        min=None,  # type: ignore[arg-type]  # not known, and optional in the protocol
        max=None,  # type: ignore[arg-type]
        exemplars=[exemplar for bucket in buckets if (exemplar := _exemplar(bucket)) is not None],
    )


def _exemplar(bucket: Sample) -> Exemplar | None:
    if bucket.exemplar is None:
        return None
    of = bucket.exemplar
    return Exemplar(
        {},
        of.value,
        int(float(of.timestamp or 0) * 1e9),
        int(of.labels["span_id"], 16),
        int(of.labels["trace_id"], 16),
    )
