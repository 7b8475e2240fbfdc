"""Which settings are in use and since when; for a supervisor, whether they could be read again."""

import time
from collections.abc import Iterable

from extproc.metrics import catalogue as the
from extproc.metrics.process import ProcessMetrics, Reading


class Loaded:
    """Made when the settings were read."""

    def __init__(self) -> None:
        self._generation, self._at = 1, time.time()

    def again(self) -> None:
        """Other settings are in use from now on."""
        self._generation, self._at = self._generation + 1, time.time()

    def readings(self) -> Iterable[Reading]:
        yield Reading(the.GENERATION, self._generation)
        yield Reading(the.LOADED, self._at)


class SupervisorMetrics(ProcessMetrics):
    """Those of a supervisor."""

    def __init__(self) -> None:
        super().__init__()
        self._loaded = Loaded()
        self.watch(self._loaded.readings)
        reloads = self._counter(the.RELOADS)
        self._reloads = {outcome: reloads.labels(outcome) for outcome in ("success", "failure")}

    def reloaded(self) -> None:
        """Other settings are in use."""
        self._reloads["success"].inc()
        self._loaded.again()

    def not_reloaded(self) -> None:
        self._reloads["failure"].inc()
