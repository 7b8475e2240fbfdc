"""A pytest plugin for tools/mutation that tries mutants in forks of one process with all tests.

A mutant is a function of extproc/core with one change. mutmut has put all mutants beside the
originals, and a name in the environment chooses one. So nothing is imported or collected twice, and
a mutant costs only the tests that call its function. Values that a test module computes while it is
imported are computed with the originals.
"""

import gc
import json
import os
import resource
import sys
import time
from pathlib import Path

import hypothesis
import pytest
from mutmut.mutation import trampoline

import extproc

# The variable that mutmut's trampolines read.
CHOSEN = "MUTANT_UNDER_TEST"
KILLED, SURVIVED = 1, 0
# Bytes, against loops that do not end.
MEMORY = 4 << 30

# The same examples for every mutant, without deadlines, because the machine is busy.
hypothesis.settings.register_profile(
    "mutating",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("mutating")


class Mutating:
    def __init__(self, plan: Path) -> None:
        asked = json.loads(plan.read_text())
        self.names: list[str] = asked["names"]
        self.workers: int = asked["workers"]
        self.result = Path(asked["result"])
        self.failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    def run(self, item: pytest.Item) -> bool:
        """Whether it passed."""
        self.failed = False
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self.failed

    def watch(self, session: pytest.Session) -> dict[str, list[tuple[float, pytest.Item]]]:
        """The tests that call each function, and their seconds of CPU. All of them have to pass."""
        calls: dict[str, list[tuple[float, pytest.Item]]] = {}
        called: set[str] = set()
        trampoline.record_trampoline_hit = lambda name, caller=None: called.add(name)
        os.environ[CHOSEN] = "stats"
        for item in session.items:
            called.clear()
            started = time.process_time()
            if not self.run(item):
                pytest.exit(f"fails without any mutant: {item.nodeid}", 2)
            seconds = time.process_time() - started
            for name in called:
                calls.setdefault(name, []).append((seconds, item))
        os.environ[CHOSEN] = ""
        return calls

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        calls = self.watch(session)
        outcomes: dict[str, str] = {}
        running: dict[int, str] = {}
        # Otherwise each fork would copy the pages that a garbage collection visits.
        gc.freeze()
        for name in self.names:
            tests = sorted(calls.get(name.rpartition("__mutmut_")[0], []), key=lambda test: test[0])
            if not tests:
                outcomes[name] = "no test"
                continue
            while len(running) >= self.workers:
                self.reap(running, outcomes)
            running[self.fork(name, tests)] = name
        while running:
            self.reap(running, outcomes)
        self.result.write_text(json.dumps(outcomes))
        return True

    def fork(self, name: str, tests: list[tuple[float, pytest.Item]]) -> int:
        sys.stdout.flush()
        if (child := os.fork()) != 0:
            return child
        seconds = 5 + round(10 * sum(cost for cost, _ in tests))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        os.environ[CHOSEN] = name
        try:
            os._exit(SURVIVED if all(self.run(item) for _, item in tests) else KILLED)
        finally:
            os._exit(KILLED)

    def reap(self, running: dict[int, str], outcomes: dict[str, str]) -> None:
        child, status = os.wait()
        name = running.pop(child)
        # Its time was up, or the interpreter died.
        if os.WIFSIGNALED(status):
            outcomes[name] = "killed, by time"
        else:
            outcomes[name] = "survived" if os.WEXITSTATUS(status) == SURVIVED else "killed"
        print(
            f"{len(outcomes)}/{len(self.names)} {outcomes[name]}: {name}",
            flush=True,
            file=sys.__stderr__,
        )


def pytest_configure(config: pytest.Config) -> None:
    assert "mutants" in Path(extproc.__file__).parts, "these would be the originals"
    config.pluginmanager.register(Mutating(Path(os.environ["EXTPROC_MUTATING"])), "mutating-loop")
