"""Every parser of foreign bytes: inputs that fuzzing once found, and a short run of it."""

import subprocess
import sys
from pathlib import Path

import pytest
from attack.targets import TARGETS, corpus

HERE = Path(__file__).parent
INPUTS = [(name, data) for name in TARGETS for data in (b"", *corpus(name))]


@pytest.mark.parametrize(("name", "data"), INPUTS)
def test_an_input_of_the_corpus_is_read_or_refused(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.heavy
def test_a_second_of_fuzzing_finds_nothing_in_any_parser() -> None:
    command = [sys.executable, HERE / "fuzz", "--seconds", "1"]
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300)
    lines = ran.stdout.splitlines()
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-5000:]
    assert [line.partition(",")[0] for line in lines if ": ok, " in line] == [
        f"{name}: ok" for name in TARGETS
    ]
    assert not [line for line in lines if "no run" in line]
