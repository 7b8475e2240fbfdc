"""The rows `login` and `held`: logins one by one, and thousands that wait for a slow provider."""

import asyncio
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
from harness.gateway import ROOT
from harness.ports import answers, free_port
from harness.processes import Process, resident, wait_until
from harness.providers import SECRET, At

from benchmarks.gateways import Gateway, upstream
from benchmarks.measure import Plan, Result, cpu, ratios, used
from benchmarks.visitors import Visitor, arrive, one_by_one

ENV = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tools'}"}
# The most logins a second.
ARRIVALS = 150.0
# The share of a core that these logins may take.
SHARE = 0.5
# Seconds between two requests on another route.
WATCHED = 0.04
# Seconds of such requests before the first login, for each second of a round.
CALM = 3.0
# Seconds that the provider waits beyond the last arrival.
SLACK = 5.0


@dataclass(frozen=True)
class Idp:
    url: str

    @property
    def provider(self) -> At:
        client = {
            "client_id": "gateway",
            "client_secret": SECRET,
            "id_token_signed_response_alg": "EdDSA",
        }
        return At(self.url, client=client)

    def tell(self, what: str) -> dict[str, Any]:
        return cast(
            dict[str, Any],
            httpx.get(f"{self.url}/bench/{what}", trust_env=False, timeout=30).json(),
        )


@contextmanager
def idp() -> Iterator[Idp]:
    """The bench's provider in a process of its own, reached directly."""
    address = f"127.0.0.1:{free_port()}"
    argv = [sys.executable, "-m", "benchmarks.provider", address]
    with (
        tempfile.TemporaryDirectory() as directory,
        Process("provider", argv, log=Path(directory) / "log", env=ENV) as process,
    ):
        process.wait_ready(lambda: answers(int(address.rpartition(":")[2])))
        yield Idp(f"http://{address}")


def row_login(plan: Plan) -> list[Result]:
    """The processor's CPU for a whole login, beside two answers of a stock server.

    Also a callback's time, beside the provider's part of it.
    """
    with ExitStack() as stack:
        up, provider = stack.enter_context(upstream()), stack.enter_context(idp())
        ours = stack.enter_context(Gateway(up, provider.provider))
        stock = stack.enter_context(Gateway(up, provider.provider, reference=True))
        # Warm up.
        asyncio.run(one_by_one(ours.port, 3))
        provider.tell("state")
        spent: dict[str, list[float]] = {"ours": [], "stock": [], "callback": [], "provider": []}
        lost = 0
        for turn in range(plan.rounds):
            plan.say(f"login: round {turn + 1} of {plan.rounds}")
            before = cpu(ours.extproc.pid)
            replies, wrong = asyncio.run(one_by_one(ours.port, plan.logins))
            spent["ours"].append(used(ours.extproc.pid, before) / plan.logins * 1e6)
            lost += wrong
            spent["callback"].append(statistics.mean(reply.seconds for reply in replies) * 1e3)
            spent["provider"].append(provider.tell("state")["spent"] / plan.logins * 1e3)
            before = cpu(stock.extproc.pid)
            asyncio.run(_answers(stock.port, plan.logins * 2))
            spent["stock"].append(used(stock.extproc.pid, before) / plan.logins * 1e6)
    name = "extproc, a whole login"
    return [
        ratios(
            "login",
            name,
            "stock grpc.aio, two answers",
            "cpu",
            "us",
            spent["ours"],
            spent["stock"],
            lost,
        ),
        ratios(
            "login",
            "extproc, callback",
            "the provider's own part",
            "wall",
            "ms",
            spent["callback"],
            spent["provider"],
        ),
    ]


async def _answers(port: int, requests: int) -> None:
    with Visitor(port) as visitor:
        for _ in range(requests):
            assert (await visitor.get("/page")).status == 303


def row_held(plan: Plan) -> list[Result]:
    """Many simultaneous callbacks: memory, and the time of another route meanwhile.

    The provider takes as long as all of them need to arrive (Little's law), so the first is
    answered when the last arrives, and they are not released together.
    """
    return [result for count in plan.held for result in _held(plan, count)]


def _held(plan: Plan, count: int) -> list[Result]:
    settings = {
        "timeouts": {"call": 600, "callback": 900},
        "limits": {
            "callback": count + 10,
            "per_provider": count + 10,
            "streams": max(20_000, 2 * count),
        },
    }
    with ExitStack() as stack:
        up, provider = stack.enter_context(upstream()), stack.enter_context(idp())
        ours = stack.enter_context(Gateway(up, provider.provider, **settings))
        rate = _rate(ours)
        watch = stack.enter_context(_watching(f"localhost:{ours.port}", 401))
        time.sleep(CALM * plan.seconds)
        pids = {"processor": ours.extproc.pid, "Envoy": ours.envoy.pid}
        idle, base = time.time(), {name: resident(pid) for name, pid in pids.items()}
        provider.tell(f"hold/{count / rate + SLACK}")
        plan.say(f"held: {count} people come, {rate:.0f} a second")
        peak: dict[str, float] = {}
        held = asyncio.run(_crowd(ours, provider, count, rate, pids, peak))
        over = time.time()
        wait_until(lambda: ours.gauges()["held.callback"] == 0, 60, "the held lane to empty")
        answered = watch()
    lost = count - held
    watched = [(took, word) for at, took, word in answered if idle < at < over]
    calm = [took for at, took, _ in answered if at <= idle]
    lost += sum(word != "ok" for _, word in watched)
    # At least a page.
    each = [max(4096, peak[name] - base[name]) / count / 1024 for name in ("processor", "Envoy")]
    subject = f"{count} held at once"
    quiet, busy = _p99(calm), _p99([took for took, _ in watched])
    return [
        ratios(
            "held",
            f"{subject}: processor, each",
            "Envoy, each",
            "memory",
            "kB",
            [each[0]],
            [each[1]],
            lost,
        ),
        ratios(
            "held",
            f"{subject}: another route, p99",
            "p99 before",
            "wall",
            "ms",
            [busy * 1e3],
            [quiet * 1e3],
        ),
    ]


def _rate(ours: Gateway) -> float:
    """Logins a second: half of what the processor could do on this machine."""
    before, logins = cpu(ours.extproc.pid), 40
    asyncio.run(one_by_one(ours.port, logins))
    return min(ARRIVALS, SHARE * logins / used(ours.extproc.pid, before))


async def _crowd(
    ours: Gateway,
    provider: Idp,
    count: int,
    rate: float,
    pids: dict[str, int],
    peak: dict[str, float],
) -> int:
    """The number of logins that succeeded. Reads memory at the peak."""
    tasks = await arrive(ours.port, count, rate)
    most = 0
    while (held := (await asyncio.to_thread(provider.tell, "state"))["held"]) > most:
        most = held
        peak |= {name: resident(pid) for name, pid in pids.items()}
        await asyncio.sleep(0.25)
    ended = sum(result is True for result in await asyncio.gather(*tasks, return_exceptions=True))
    return min(ended, most)


@contextmanager
def _watching(address: str, status: int) -> Iterator[Any]:
    """Send requests on another route until the block ends.

    Returns a function that gives (when, seconds, ok or lost) of every answer.
    """
    command = [sys.executable, "-m", "benchmarks.watch", address, str(status), str(WATCHED)]
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(command, stdout=out, env={**ENV, "PATH": "/usr/bin:/bin"}) as process,
    ):

        def answered() -> list[tuple[float, float, str]]:
            process.terminate()
            process.wait()
            out.seek(0)
            lines = (line.split() for line in out)
            return [
                (float(at), float(took), word)
                for at, took, word in (fields for fields in lines if len(fields) == 3)
            ]

        try:
            yield answered
        finally:
            process.terminate()


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def counts(text: str) -> tuple[int, ...]:
    """The numbers of a text such as 1000,10000."""
    return tuple(itertools.chain.from_iterable([int(each)] for each in text.split(",")))
