"""The catalogue: documented, and named by the conventions of OpenTelemetry and Prometheus."""

import re
from pathlib import Path

import pytest
from metrics_reference import reference

from extproc.metrics import catalogue as metric
from extproc.metrics.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]


def test_the_metrics_reference_is_fresh() -> None:
    assert (ROOT / "docs" / "metrics.md").read_text() == reference()


@pytest.mark.parametrize("instrument", CATALOGUE, ids=lambda instrument: instrument.name)
def test_names_follow_the_conventions(instrument: metric.Instrument) -> None:
    assert re.fullmatch(r"extproc(\.[a-z]+(_[a-z]+)*)+", instrument.name)
    assert not re.search(
        r"_(total|seconds|bytes|count|sum|bucket|created)$", instrument.name.replace(".", "_")
    )
    assert instrument.text.endswith(".") and bool(instrument.buckets) == (
        instrument.kind == "histogram"
    )
    assert len({other.exposed for other in CATALOGUE}) == len(CATALOGUE)


def test_the_catalogue_holds_every_instrument_of_the_module() -> None:
    declared = [value for value in vars(metric).values() if isinstance(value, metric.Instrument)]
    assert list(CATALOGUE) == declared and len(CATALOGUE) > 30
