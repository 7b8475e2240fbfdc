"""Metrics that every process of extproc has, and the registry that holds all its metrics."""

import platform
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector

from extproc.metrics import catalogue as metric
from extproc.metrics.catalogue import Instrument


@dataclass(frozen=True, slots=True)
class Reading:
    """The present value of a gauge, or of a counter that is kept elsewhere."""

    gauge: Instrument
    value: float
    # values of its labels, in the order of the catalogue
    labels: tuple[str, ...] = ()


Read = Callable[[], Iterable[Reading]]


class ProcessMetrics:
    """The metrics of one process: memory, CPU, descriptors, versions, and whatever is watched."""

    def __init__(self) -> None:
        # seconds since the epoch
        self.started = time.time()
        self._reads: list[Read] = [_build]
        self._registry = CollectorRegistry(support_collectors_without_names=True)
        self._registry.register(_Gauges(self._readings))
        ProcessCollector(registry=self._registry)

    def watch(self, read: Read) -> None:
        """Call `read` in trio whenever the metrics are collected, and add its readings."""
        self._reads.append(read)

    def families(self) -> list[Metric]:
        """Collect all metrics, in trio."""
        return [family for family in self._registry.collect() if family.samples]

    def _readings(self) -> Iterable[Reading]:
        return (reading for read in self._reads for reading in read())

    def counter(self, instrument: Instrument) -> Counter:
        """Register a counter of the catalogue."""
        return Counter(
            instrument.family, instrument.text, instrument.labels, registry=self._registry
        )

    def _histogram(self, instrument: Instrument) -> Histogram:
        return Histogram(
            instrument.family,
            instrument.text,
            instrument.labels,
            registry=self._registry,
            buckets=instrument.buckets,
        )


class _Gauges:
    """A collector for prometheus_client whose values are read when it collects."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        families: dict[Instrument, GaugeMetricFamily | CounterMetricFamily] = {}
        for reading in self._read():
            instrument = reading.gauge
            if instrument not in families:
                kind = CounterMetricFamily if instrument.kind == "counter" else GaugeMetricFamily
                families[instrument] = kind(
                    instrument.family, instrument.text, labels=instrument.labels
                )
            families[instrument].add_metric(reading.labels, reading.value)
        return families.values()


def _build() -> Iterable[Reading]:
    versions = (
        package_version("extproc-oidc"),
        platform.python_version(),
        package_version("grpcio"),
        package_version("trio"),
    )
    yield Reading(metric.BUILD, 1, versions)


def package_version(package: str) -> str:
    """The installed version; `unknown` when extproc runs from its sources."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
