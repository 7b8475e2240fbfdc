"""Metrics of the settings that are in use."""

import time

from harness.metrics import samples

from extproc.metrics import ProcessMetrics
from extproc.metrics.reloads import Reloads


def test_a_reload_that_succeeds_is_a_new_generation_and_one_that_fails_is_none():
    metrics, before = ProcessMetrics(), time.time()
    reloads = Reloads(metrics)
    assert samples(metrics, "extproc_settings_generation") == {(): 1}
    reloads.failed()
    reloads.done()
    reloads.done()
    assert samples(metrics, "extproc_settings_generation") == {(): 3}
    assert samples(metrics, "extproc_settings_reloads_total") == {("success",): 2, ("failure",): 1}
    loaded_at = samples(metrics, "extproc_settings_loaded_timestamp_seconds")[()]
    assert before <= loaded_at <= time.time()
