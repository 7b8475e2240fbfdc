"""Metrics of any process: what is watched is read when somebody looks."""

import platform

from harness.metrics import samples

from extproc.metrics import ProcessMetrics, Reading
from extproc.metrics import catalogue as metric
from extproc.metrics.process import package_version


def test_what_is_watched_is_read_anew_each_time():
    metrics, held = ProcessMetrics(), [1.0]
    metrics.watch(lambda: [Reading(metric.HELD, held[0], ("login",))])
    assert samples(metrics, "extproc_held") == {("login",): 1}
    held[0] = 5
    assert samples(metrics, "extproc_held") == {("login",): 5}


def test_readings_of_several_watchers_are_one_family():
    metrics = ProcessMetrics()
    for kind in ("login", "refresh"):
        metrics.watch(lambda kind=kind: [Reading(metric.HELD, 1, (kind,))])
    families = [family for family in metrics.families() if family.name == "extproc_held"]
    assert len(families) == 1 and len(families[0].samples) == 2


def test_a_counter_that_is_kept_elsewhere_is_a_counter():
    metrics = ProcessMetrics()
    metrics.watch(lambda: [Reading(metric.BACKGROUND_FAILURES, 2, ("touch",))])
    assert samples(metrics, "extproc_background_failures_total") == {("touch",): 2}


def test_the_versions_that_run_are_told():
    (labels,) = samples(ProcessMetrics(), "extproc_build_info")
    assert platform.python_version() in labels and package_version("trio") in labels
    assert package_version("no-such-package") == "unknown"
