"""The alerts for Prometheus and the dashboard for Grafana, checked by Prometheus' promtool."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from harness.downloads import found
from project.test_dashboard import queries

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "envoy" / "prometheus"


def promtool(*arguments: object) -> str:
    """The output of promtool, which must succeed."""
    program = found("EXTPROC_PROMTOOL", "promtool")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yaml"), ("check", "config", "scrape.yaml")],
    ids=" ".join,
)
def test_alert_rules_and_the_scrape_configuration_are_valid(
    arguments: tuple[str, str, str],
) -> None:
    assert "SUCCESS" in promtool(*arguments[:2], PROMETHEUS / arguments[2])


def test_alerts_fire_when_they_should_and_not_when_all_is_well(tmp_path: Path) -> None:
    shutil.copy(PROMETHEUS / "alerts.yaml", tmp_path)
    shutil.copy(ROOT / "tests/project/alerts.test.yaml", tmp_path)
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "alerts.test.yaml")


def test_each_query_of_the_dashboard_is_promql(tmp_path: Path) -> None:
    rules = [{"record": f"query{n}", "expr": query} for n, query in enumerate(queries())]
    (tmp_path / "queries.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]})
    )
    assert f"{len(rules)} rules found" in promtool("check", "rules", tmp_path / "queries.yaml")


def test_each_alert_is_made_to_fire() -> None:
    """By name, in alerts.test.yaml."""
    tried = (ROOT / "tests/project/alerts.test.yaml").read_text()
    alerts = [
        rule["alert"]
        for group in yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
        for rule in group["rules"]
    ]
    assert [alert for alert in alerts if f'"{alert}"' not in tried] == []
