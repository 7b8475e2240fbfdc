"""Measurements: CPU of processes by their clocks, load from wrk, ratios between subjects."""

import os
import re
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Subject:
    """A server under load.

    It has an address, headers to send, the right status, and the processes whose CPU counts.
    """

    name: str
    url: str
    pids: tuple[int, ...]
    headers: Mapping[str, str]
    status: int = 200


@dataclass(frozen=True)
class Sample:
    requests: int
    lost: int
    cpu: float  # seconds of all pids
    seconds: float


@dataclass(frozen=True)
class Result:
    """A line of the table and of the JSON, by round.

    It is a metric of a subject, and its ratio to the row's reference.
    """

    row: str
    subject: str
    reference: str
    metric: str
    unit: str
    min: float
    median: float
    max: float
    ratio_min: float
    ratio_median: float
    ratio_max: float
    lost: int


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used so far, in user and kernel mode.

    By its own clock, because /proc counts only whole ticks.
    """
    # clock_getcpuclockid(3), which Python lacks.
    return time.clock_gettime(~pid << 3 | 2)


def used(pid: int, before: float) -> float:
    """Seconds of CPU since `before`, at least one tick, which is the resolution."""
    return max(1 / TICKS, cpu(pid) - before)


# wrk counts 4xx and 5xx as errors. This counts every status except the right one.
SCRIPT = """
local wanted, threads = tonumber(os.getenv("WANTED")), {}
function setup(thread) table.insert(threads, thread) end
function init() wrong = 0 end
function response(status) if status ~= wanted then wrong = wrong + 1 end end
function done(summary) local n = 0; for _, t in ipairs(threads) do n = n + t:get("wrong") end; print("WRONG " .. n) end
"""


def load(subject: Subject, seconds: float, connections: int, script: str) -> Sample:
    """Run wrk against a subject. RuntimeError if wrk itself fails."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", script]
    for name, value in subject.headers.items():
        command += ["-H", f"{name}: {value}"]
    before = sum(map(cpu, subject.pids))
    done = subprocess.run(
        [*command, subject.url],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "WANTED": str(subject.status)},
    )
    spent = max(1 / TICKS, sum(map(cpu, subject.pids)) - before)
    counted, wrong = (
        re.search(r"(\d+) requests in ([\d.]+)s", done.stdout),
        re.search(r"WRONG (\d+)", done.stdout),
    )
    if done.returncode or counted is None or wrong is None:
        raise RuntimeError(
            f"wrk failed for {subject.name}: {done.stdout[-500:]} {done.stderr[-500:]}"
        )
    sockets = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", done.stdout
    )
    lost = int(wrong[1]) + (sum(map(int, sockets.groups())) if sockets else 0)
    return Sample(int(counted[1]), lost, spent, float(counted[2]))


def compare(
    row: str,
    subjects: Sequence[Subject],
    rounds: int,
    seconds: float,
    connections: int,
    script: str,
    say: Callable[[str], None],
) -> list[Result]:
    """CPU per request (microseconds) and requests a second of subjects that take turns.

    The first one is the reference.
    """
    samples: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
    for subject in subjects:
        # Warm up.
        load(subject, min(1.0, seconds), connections, script)
    for turn in range(rounds):
        say(f"{row}: round {turn + 1} of {rounds}")
        for subject in subjects:
            samples[subject.name].append(load(subject, seconds, connections, script))
    results = []
    for metric, unit, of in (
        ("cpu", "us", lambda s: s.cpu / s.requests * 1e6),
        ("rps", "1/s", lambda s: s.requests / s.seconds),
    ):
        base = [of(sample) for sample in samples[subjects[0].name]]
        for subject in subjects:
            values = [of(sample) for sample in samples[subject.name]]
            lost = sum(sample.lost for sample in samples[subject.name])
            results.append(
                ratios(row, subject.name, subjects[0].name, metric, unit, values, base, lost)
            )
    return results


def ratios(
    row: str,
    subject: str,
    reference: str,
    metric: str,
    unit: str,
    values: Sequence[float],
    base: Sequence[float],
    lost: int = 0,
) -> Result:
    """The values of a subject beside those of its reference, by round."""
    pairs = [value / other for value, other in zip(values, base, strict=True)]
    middle = statistics.median
    of_values, of_pairs = (
        (min(values), middle(values), max(values)),
        (min(pairs), middle(pairs), max(pairs)),
    )
    return Result(row, subject, reference, metric, unit, *of_values, *of_pairs, lost)


@dataclass(frozen=True)
class Plan:
    """The duration and repetitions of a run.

    script: a path of a wrk script. flood: requests. held, stored, applications: the sizes that the
    rows of those names try.
    """

    rounds: int
    seconds: float
    connections: int
    script: str
    say: Callable[[str], None]
    logins: int
    held: Sequence[int]
    flood: int
    stored: Sequence[int]
    applications: Sequence[int]

    def compare(self, row: str, *subjects: Subject) -> list[Result]:
        """Measure these subjects in turn. See `compare`."""
        return compare(
            row, subjects, self.rounds, self.seconds, self.connections, self.script, self.say
        )
