"""Metrics of the settings: which are in use, since when, and how often they were read again."""

import time
from collections.abc import Iterable

from extproc.metrics import catalogue as metric
from extproc.metrics.process import ProcessMetrics, Reading


class Reloads:
    """The generation of the settings in use: 1 when this object is made."""

    def __init__(self, metrics: ProcessMetrics) -> None:
        self._generation = 1
        self._loaded_at = time.time()
        reloads = metrics.counter(metric.RELOADS)
        self._succeeded = reloads.labels("success")
        self._failed = reloads.labels("failure")
        metrics.watch(self._readings)

    def done(self) -> None:
        """Count a reload after which other settings, or other secrets, are in use."""
        self._succeeded.inc()
        self._generation += 1
        self._loaded_at = time.time()

    def failed(self) -> None:
        """Count a reload that failed; the settings in use stay."""
        self._failed.inc()

    def _readings(self) -> Iterable[Reading]:
        yield Reading(metric.GENERATION, self._generation)
        yield Reading(metric.LOADED, self._loaded_at)
