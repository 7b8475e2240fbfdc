"""The dashboard and the alerts use metrics, labels and reasons that exist."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from extproc.core.reasons import REASONS
from extproc.metrics import ProcessMetrics
from extproc.metrics.catalogue import CATALOGUE

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "envoy" / "prometheus" / "alerts.yaml"
DASHBOARD = ROOT / "envoy" / "grafana" / "extproc.json"
NAMES = {instrument.exposed for instrument in CATALOGUE} | {
    sample.name for family in ProcessMetrics().families() for sample in family.samples
}
NAMES |= {
    f"{i.family}_{part}"
    for i in CATALOGUE
    if i.kind == "histogram"
    for part in ("bucket", "sum", "count")
}
LABELS = {label for instrument in CATALOGUE for label in instrument.labels} | {
    "worker",
    "instance",
    "job",
    "le",
}


def rules() -> list[dict[str, object]]:
    return [
        rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
    ]


def panels() -> list[dict[str, object]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def queries() -> Iterator[str]:
    """Every PromQL expression that we ship; Grafana's variables as what they stand for."""
    yield from (str(rule["expr"]) for rule in rules())
    shown = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    shown += [one["expr"] for one in json.loads(DASHBOARD.read_text())["annotations"]["list"]]
    for query in shown:
        yield re.sub(r"\$__(rate_interval|range)", "5m", query).replace("$instance", ".+")


@pytest.mark.parametrize("query", list(queries()))
def test_a_query_of_the_dashboard_or_an_alert_uses_names_that_exist(query: str) -> None:
    code = re.sub(r'"[^"]*"', '""', query)
    used = set(re.findall(r"\b(?:extproc|process|up)(?:_[a-z_]+)?\b", code)) - {"up"}
    assert used <= NAMES, used - NAMES
    matched = {
        name
        for group in re.findall(r"\{([^}]*)\}", code)
        for name in re.findall(r"([a-z_]+)\s*(?:=|!)", group)
    }
    by = {
        name.strip() for group in re.findall(r"\bby \(([^)]*)\)", code) for name in group.split(",")
    }
    assert matched | by <= LABELS
    for reason in re.findall(r'reason!?="([a-z_]+)"', query):
        assert reason in REASONS


def test_each_alert_says_what_is_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        annotations = rule["annotations"]
        assert annotations.keys() == {"summary", "remedy"} and len(annotations["remedy"]) > 60, (
            rule["alert"]
        )
        assert rule["labels"]["severity"] in ("page", "ticket")


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        grid = panel["gridPos"]
        cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
        assert not cells & taken and grid["x"] + grid["w"] <= 24, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels()}) == len(panels())
