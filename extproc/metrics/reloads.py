"""Which settings are in use and since when, and whether they could be read again."""

import time
from collections.abc import Iterable

from extproc.metrics import catalogue as metric
from extproc.metrics.process import ProcessMetrics, Reading


class Reloads:
    """Made when the settings were read for the first time."""

    def __init__(self, metrics: ProcessMetrics) -> None:
        self._generation, self._at = 1, time.time()
        metrics.watch(self._readings)
        reloads = metrics.counter(metric.RELOADS)
        self._outcomes = {outcome: reloads.labels(outcome) for outcome in ("success", "failure")}

    def done(self) -> None:
        """Other settings, or other secrets, are in use."""
        self._outcomes["success"].inc()
        self._generation, self._at = self._generation + 1, time.time()

    def failed(self) -> None:
        """They could not be used, and what ran goes on."""
        self._outcomes["failure"].inc()

    def _readings(self) -> Iterable[Reading]:
        yield Reading(metric.GENERATION, self._generation)
        yield Reading(metric.LOADED, self._at)
