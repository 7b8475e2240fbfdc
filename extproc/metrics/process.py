"""What any process of ours says of itself, and the registry that holds all that it says."""

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
    """What a gauge says now, or a counter that is kept elsewhere; labels: their values, in the
    order of the catalogue.
    """

    gauge: Instrument
    value: float
    labels: tuple[str, ...] = ()


Read = Callable[[], Iterable[Reading]]


class ProcessMetrics:
    """Of one process: memory, CPU, descriptors, what runs, and whatever else is watched. started:
    seconds since the epoch.
    """

    def __init__(self) -> None:
        self.started = time.time()
        self._registry = CollectorRegistry(support_collectors_without_names=True)
        self._registry.register(_Gauges(self._readings))
        ProcessCollector(registry=self._registry)
        self._reads: list[Read] = [_build]

    def watch(self, read: Read) -> None:
        """Gauges to be read whenever somebody looks; read in trio."""
        self._reads.append(read)

    def families(self) -> list[Metric]:
        """All, now. In trio."""
        return [family for family in self._registry.collect() if family.samples]

    def _readings(self) -> Iterable[Reading]:
        return (reading for read in self._reads for reading in read())

    def counter(self, what: Instrument) -> Counter:
        return Counter(what.family, what.text, what.labels, registry=self._registry)

    def _histogram(self, what: Instrument) -> Histogram:
        return Histogram(
            what.family, what.text, what.labels, registry=self._registry, buckets=what.buckets
        )


class _Gauges:
    """prometheus_client's collector of what is read when it is asked for."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        families: dict[Instrument, GaugeMetricFamily | CounterMetricFamily] = {}
        for reading in self._read():
            what = reading.gauge
            if what not in families:
                kind = CounterMetricFamily if what.kind == "counter" else GaugeMetricFamily
                families[what] = kind(what.family, what.text, labels=what.labels)
            families[what].add_metric(reading.labels, reading.value)
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
    try:
        return version(package)
    except PackageNotFoundError:  # it runs from its sources
        return "unknown"
