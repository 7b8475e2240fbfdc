"""tools/soak --minutes N [--seed S] [--store KIND] [--report FILE]: users of one gateway for hours.

They do everything that users do, while the provider is in trouble at times. Exit status 1 if
anything is wrong: an unexplained answer, a page of another user, requests, tasks or descriptors
that remain when all is quiet, memory that grows. --report FILE gets the text, FILE.svg the drawing.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
from harness.gateway import Stack
from harness.processes import wait_until
from harness.redis import RedisServer

from soaking.people import Findings, Person
from soaking.provider import TroubledProvider
from soaking.report import Soak, svg, text
from soaking.watch import Watch, fit, look

# The share of the run before memory counts.
WARM = 0.3
# MB that the rest may add in a run of any length: by allocators, and by caches that fill.
GROWTH = 10.0
# MB an hour beyond that.
HOURLY = 1.0
# MB of each stream, because grpcio leaks an array of 80 bytes when Envoy resets one
# (github.com/grpc/grpc/issues/43360).
LEFT = 100e-6
# Descriptors more than before, at rest: idle connections, which their pools limit.
TASKS, DESCRIPTORS = 3, 60
# Tasks, streams and the like for each user.
EACH = 12
# Seconds of a period, of which the last third is trouble.
PERIOD = 20.0
# The share of the provider's answers that fail in that third.
TROUBLE = 0.25
NEVER = (
    "http.in.ext_proc.failure_mode_allowed",
    "http.in.ext_proc.message_timeouts",
    "http.in.ext_proc.spurious_msgs_received",
)
NEVER_LOGGED = (
    "background_failed",
    "internal_error",
    "not_reloaded",
    "spans_lost",
    "worker_killed",
    # It warns when an ended span is changed.
    "opentelemetry.sdk",
    "Task was destroyed",
    "was never awaited",
)


def options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/soak", description="People at one gateway, for minutes or hours."
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", choices=("sqlite", "redis"), default="sqlite")
    parser.add_argument(
        "--kill", action="store_true", help="kill a worker now and then (with --workers 2 or more)"
    )
    parser.add_argument(
        "--growth",
        type=float,
        default=GROWTH,
        metavar="MB",
        help=f"memory that may be added (default: {GROWTH:g})",
    )
    parser.add_argument("--report", type=Path, metavar="FILE")
    parsed = parser.parse_args(argv)
    if parsed.kill and parsed.workers < 2:
        parser.error("--kill needs --workers 2 or more: with one, everybody meets its end")
    return parsed


def settings(workers: int, redis: str | None = None) -> dict[str, object]:
    """Settings with short lives, so that minutes have everything that days have.

    redis: the address of the store, if it is not SQLite.
    """
    return {
        "workers": workers,
        **({"store": {"path": None, "kind": "redis", "servers": [redis]}} if redis else {}),
        "identity": {"assertion_lifetime": 10},
        "session": {"refresh_margin": 5},
        "timeouts": {"call": 3, "callback": 8},
    }


class Weather:
    """Events of the run: a provider in trouble, SIGHUP, a killed worker.

    `tick` must be called again and again.
    """

    def __init__(
        self,
        stack: Stack,
        provider: TroubledProvider,
        rng: random.Random,
        seconds: float,
        kill: bool,
    ) -> None:
        self._stack, self._provider, self._rng, self._kill = stack, provider, rng, kill
        self._period = min(PERIOD, seconds / 3)
        self._turn = -1
        self.done: Counter[str] = Counter()

    def tick(self, at: float) -> None:
        turn, phase = divmod(at, self._period)
        self._provider.trouble = TROUBLE if phase > self._period * 2 / 3 else 0.0
        self._provider.forget()
        if turn == self._turn:
            return
        self._turn = int(turn)
        if self._kill and self._turn % 2:
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(self._rng.choice(self._stack.extproc.children), signal.SIGKILL)
                self.done["worker killed"] += 1
        else:
            self._stack.extproc.send(signal.SIGHUP)
            self.done["SIGHUP"] += 1


def run(asked: argparse.Namespace) -> Soak:
    rng, seconds = random.Random(asked.seed), asked.minutes * 60
    provider, findings = TroubledProvider(random.Random(rng.random())), Findings(killing=asked.kill)
    with ExitStack() as undo:
        redis = None
        if asked.store == "redis":
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
            redis = undo.enter_context(RedisServer(folder)).address
        stack = undo.enter_context(Stack(provider, settings=settings(asked.workers, redis)))
        # Everything that starts with the first login has started.
        with stack.user() as user:
            user.go(stack.url("/first"))
        before = at_rest(stack)
        over = threading.Event()
        people = [
            Person(f"u{n}", stack, provider, findings, random.Random(rng.random()), over)
            for n in range(asked.people)
        ]
        weather, began, started = (
            Weather(stack, provider, rng, seconds, asked.kill),
            time.gmtime(),
            time.monotonic(),
        )
        with Watch(stack, every=max(0.5, seconds / 600)) as watch:
            for person in people:
                person.start()
            while (
                (at := time.monotonic() - started) < seconds
                and not findings.wrong
                and stack.extproc.exit_code is None
            ):
                weather.tick(at)
                crowded(watch, asked.people, findings)
                time.sleep(0.2)
            took, provider.trouble = time.monotonic() - started, 0.0
            over.set()
            for person in people:
                person.join()
        faulty = list(findings.wrong)
        after = quiet(stack, before, faulty)
        streams = int(stack.streams() * (1 - WARM))
        faulty += kept_promises(stack, killing=asked.kill)
        warm = took * WARM
        line = fit([(sample.at, sample.rss) for sample in watch.samples if sample.at >= warm])
        soak = Soak(
            time.strftime("%Y-%m-%d %H:%M:%S", began),
            f"tools/soak --minutes {asked.minutes:g} --seed {asked.seed} --people "
            f"{asked.people} --workers {asked.workers} "
            f"--store {asked.store}" + (" --kill" if asked.kill else ""),
            took,
            asked.people,
            asked.workers,
            watch.samples,
            warm,
            line,
            streams,
            findings,
            dict(provider.faults),
            dict(weather.done),
            {name: (before[name], after[name]) for name in before},
            faulty,
        )
        # With several workers each SIGHUP and each kill makes new processes, whose memory shows no
        # growth.
        room = asked.growth + HOURLY * took / 3600 + LEFT * streams
        if asked.workers == 1 and soak.growth > room:
            faulty.append(
                f"memory grew by {soak.growth:.1f} MB in {took * (1 - WARM):.0f} s; "
                f"{room:.1f} MB may be"
            )
        return soak


def crowded(watch: Watch, people: int, findings: Findings) -> None:
    """Check the requests in progress and the tasks.

    A user has at most one request in progress, beside abandoned ones, and each request few tasks.
    """
    most = EACH * people + 60
    for sample in watch.samples[-1:]:
        for name in ("streams", "held", "trio", "asyncio"):
            if (count := getattr(sample, name)) > most:
                findings.say(f"{name}: {count} while {people} people are here")


def at_rest(stack: Stack) -> dict[str, int]:
    sample = look(stack, time.monotonic())
    if sample is None:
        return {}
    return {
        "streams": sample.streams,
        "held": sample.held,
        "work": sample.work,
        "trio tasks": sample.trio,
        "asyncio tasks": sample.asyncio,
        "descriptors": sample.fds,
        "streams of Envoy": stack.stat("cluster.processor.upstream_rq_active"),
    }


def quiet(stack: Stack, before: dict[str, int], faulty: list[str]) -> dict[str, int]:
    """Wait until everything is as before. After half a minute, the rest is a fault."""
    room = {"trio tasks": TASKS, "asyncio tasks": TASKS, "descriptors": DESCRIPTORS}
    after: dict[str, int] = {}

    def left() -> list[str]:
        after.update(at_rest(stack))
        return [
            f"{name} at rest: {count} before, {after[name]} after"
            for name, count in before.items()
            if after.get(name, 0) > count + room.get(name, 0)
        ]

    try:
        wait_until(lambda: not left(), 30, every=0.5)
    except AssertionError:
        faulty += left()
    return after


def kept_promises(stack: Stack, *, killing: bool) -> list[str]:
    """Check what must be true at the end of any run.

    killing: a reload during which a worker is killed may fail, and is logged.
    """
    wrong = [
        f"{name} is {count}" for name in NEVER if (count := stack.stat(name.replace(".", r"\.")))
    ]
    lines = stack.extproc.output().splitlines()
    if killing:
        lines = [line for line in lines if not ("not_reloaded" in line and "SIGKILL" in line)]
    for event in NEVER_LOGGED:
        if line := next((line for line in lines if event in line), None):
            wrong.append(f"the log has {event}: {line[:500]}")
    if stack.extproc.exit_code is not None:
        wrong.append(f"the processor ended with {stack.extproc.exit_code}")
    else:
        wrong += unanswered(stack)
    return wrong


def unanswered(stack: Stack) -> list[str]:
    """From the metrics."""
    page = httpx.get(f"{stack.admin}/metrics", trust_env=False)
    found = re.findall(
        r'^(extproc_streams_total\{[^}]*"unanswered"[^}]*\}) (\S+)', page.text, re.MULTILINE
    )
    return [f"{name} is {count}" for name, count in found if float(count)]


def main(argv: Sequence[str] | None = None) -> int:
    asked = options(argv)
    soak = run(asked)
    report_text = text(soak)
    print(report_text)
    if asked.report is not None:
        asked.report.write_text(report_text)
        Path(f"{asked.report}.svg").write_text(svg(soak))
    return 1 if soak.faulty else 0


if __name__ == "__main__":
    sys.exit(main())
