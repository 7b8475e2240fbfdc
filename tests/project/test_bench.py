"""The bench works: a short run, whose counts are checked and whose times are not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = {
    "signed-in",
    "rules",
    "bearer",
    "processed",
    "renewed",
    "login",
    "held",
    "flood",
    "workers",
    "tracing",
    "stored",
    "applications",
    "cookies",
}
FIELDS = {
    "row",
    "subject",
    "reference",
    "metric",
    "unit",
    "min",
    "median",
    "max",
    "ratio_min",
    "ratio_median",
    "ratio_max",
    "lost",
}


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_bench_runs_and_loses_nothing(tmp_path):
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--rounds",
        "1",
        "--seconds",
        "1",
        "--connections",
        "4",
        "--logins",
        "5",
        "--held",
        "40",
        "--flood",
        "2000",
        "--stored",
        "10,1000",
        "--applications",
        "1,3",
        "--json",
        tmp_path / "out.json",
    ]
    env = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tools'}",
    }
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "out.json").read_text())
    assert {result["row"] for result in results} == ROWS
    assert all(
        set(result) == FIELDS and result["lost"] == 0 and result["median"] > 0 for result in results
    )


def test_an_unknown_row_is_said_clearly(tmp_path):
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tools'}"}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nope"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=env,
    )
    assert (
        done.returncode == 2
        and "there is no row 'nope'; there are: signed-in, processed" in done.stderr
    )
