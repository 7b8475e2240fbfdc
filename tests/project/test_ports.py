"""Ports for tests: two test processes of a machine never get the same one."""

import subprocess
import sys
from pathlib import Path

TAKES = (
    "import sys; from harness.ports import free_ports; print(*(free_ports(2) for _ in "
    "range(60)), flush=True); sys.stdin.read()"
)


def test_processes_that_take_ports_at_the_same_time_take_different_ones() -> None:
    command = [sys.executable, "-c", TAKES]
    tests = Path(__file__).parents[1]
    takers = [
        subprocess.Popen(
            command, cwd=tests, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    taken: list[int] = []
    # Each process lives until all have their ports.
    for taker in takers:
        assert taker.stdout is not None
        taken += [
            port + more for port in map(int, taker.stdout.readline().split()) for more in (0, 1)
        ]
    for taker in takers:
        taker.communicate()
    assert len(taken) == 480 and len(set(taken)) == 480
