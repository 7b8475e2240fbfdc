"""Network faults between every two parts of a whole gateway.

The user gets an error page and never the identity of another user. A case is a link, a fault, what
the user does meanwhile, and its outcome. After the fault the same user's next attempt succeeds.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import Self

import httpx
import pytest
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.fault_proxy import Network
from harness.gateway import Stack
from harness.ports import free_port
from harness.processes import wait_until
from harness.redis import RedisServer

NAMES = count(1)
# The browser got no answer; or the application's, for this user.
GONE, THERE = "gone", "200 application"
LINKS = ("browser", "processor", "application", "provider", "store", "keys", "collector")


class Gateway:
    """A Stack whose parts are connected through links. Each user has a name and a path."""

    def __init__(self, network: Network, store: RedisServer) -> None:
        self.links = {name: network.link() for name in LINKS}
        self.store, self.listen = store, free_port()
        self.provider = FakeProvider(behind=False)
        self.stack = Stack(self.provider, settings=self._settings)

    def _settings(self, stack: Stack) -> dict[str, object]:
        for name, port in {
            "browser": stack.port,
            "processor": self.listen,
            "application": _port(stack.app.url),
            "provider": _port(self.provider.url),
            "store": self.store.port,
            "keys": _port(stack.admin),
            "collector": _port(stack.admin),
        }.items():
            self.links[name].target = port
        address = {name: link.address for name, link in self.links.items()}
        return {
            "listen": f"127.0.0.1:{self.listen}",
            "gateway": {
                "url": f"http://localhost:{self.links['browser'].port}",
                "processors": [address["processor"]],
                "keys": [address["keys"]],
            },
            "providers": {"main": {"backchannel_url": f"http://{address['provider']}"}},
            "applications": {"app": {"upstream": f"http://{address['application']}"}},
            "store": {"path": None, "kind": "redis", "servers": [address["store"]], "deadline": 2},
            "tracing": {"endpoint": f"http://{address['collector']}"},
            "timeouts": {"message": 5, "call": 3, "connect": 3, "callback": 12},
            "identity": {"keys_refresh": 1},
            "log": {"level": "DEBUG"},
        }


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


class Person:
    """A user at a browser, with a path that no other user requests."""

    def __init__(self, gateway: Gateway, patience: float = 10) -> None:
        self.name, self.gateway = f"user{next(NAMES)}", gateway
        self.url = f"http://localhost:{gateway.links['browser'].port}/of/{self.name}"
        self.user = WebUser(self.name, timeout=patience)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.user.close()

    def opens(self) -> httpx.Response:
        return self.user.navigate(self.url)

    def callback(self) -> str | None:
        """Log in up to the provider's redirect: the address of the callback, not requested yet.

        None: the login does not start.
        """
        started = self.opens()
        if started.status_code != 303:
            return None
        return self.user.navigate(
            started.headers["location"], headers={"x-user": self.name}
        ).headers["location"]

    def arrives(self, callback: str) -> httpx.Response:
        return self.user.follow(self.user.navigate(callback))

    def signs_in(self) -> httpx.Response:
        callback = self.callback()
        return self.arrives(callback) if callback is not None else self.opens()

    def gets(self, ask: Callable[[], httpx.Response]) -> str:
        """The outcome in a word or two."""
        try:
            answer = ask()
        except httpx.HTTPError:
            return GONE
        if answer.status_code == 200 and answer.headers.get("content-type") == "application/json":
            assert [value for name, value in answer.json()["headers"] if name == "x-auth-sub"] == [
                self.name
            ]
            return THERE
        reason = re.search(r">([a-z_]+)<", answer.text)
        return f"{answer.status_code} {reason[1] if reason else 'envoy'}"


@dataclass(frozen=True, slots=True)
class Case:
    """A fault and its outcome.

    doing: `page`, a page that the processor decides; `fast`, one that Envoy decides; `login`, from
    the callback on. outcome: a regular expression for Person.gets. requests: see Link.fault.
    """

    link: str
    doing: str
    kinds: tuple[str, ...]
    outcome: str
    after: int = 0
    seconds: float = 0.0
    requests: bool = False


TABLE = (
    *(Case(link, "login", ("delay",), THERE, seconds=0.02) for link in ("processor", "provider")),
    Case("store", "login", ("drip",), THERE, seconds=0.001),
    Case("browser", "page", ("reset", "close", "corrupt", "stall"), GONE),
    Case("processor", "page", ("reset", "close", "refuse", "corrupt"), "503 envoy"),
    Case("processor", "page", ("lost",), "504 envoy"),
    Case("processor", "page", ("corrupt",), "503 envoy", requests=True),
    Case("processor", "login", ("reset", "close"), "503 envoy", after=20),
    Case("processor", "login", ("stall",), "504 envoy"),
    Case("application", "fast", ("reset", "refuse"), "503 envoy"),
    Case("application", "fast", ("close", "corrupt"), "502 envoy", after=5),
    Case("application", "fast", ("stall",), GONE),
    Case("provider", "login", ("reset", "refuse", "corrupt"), "502 provider_unreachable"),
    Case("provider", "login", ("close",), "502 provider_unreachable", after=20),
    Case("provider", "login", ("reset",), "502 provider_unreachable", requests=True),
    Case("provider", "login", ("stall",), "504 provider_timeout"),
    Case("store", "page", ("reset", "corrupt", "stall"), "503 store_unavailable"),
    # The connection may be found broken within the deadline; then the retry has a new one.
    Case("store", "page", ("lost",), f"503 store_unavailable|{THERE}"),
    Case("store", "login", ("close", "refuse", "hole"), "503 store_unavailable"),
    Case("keys", "fast", ("corrupt", "stall"), THERE),
    Case("collector", "login", ("refuse", "stall"), THERE),
)
CASES = [
    pytest.param(
        replace(row, kinds=(kind,)),
        id="-".join([row.link, row.doing, kind, *(["requests"] if row.requests else []), *([str(row.after)] if row.after else [])]),
    )
    for row in TABLE
    for kind in row.kinds
]  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Network() as network, RedisServer(tmp_path_factory.mktemp("redis")) as store:
        gateway = Gateway(network, store)
        with gateway.stack:
            wait_until(lambda: ready(gateway.stack), 30, "the provider's keys")
            yield gateway
            # Without this one, because the collector is the admin itself.
            gateway.stack.kill_extproc()


def ready(stack: Stack) -> bool:
    return httpx.get(f"{stack.admin}/readyz", trust_env=False).status_code == 200


@pytest.mark.parametrize("case", CASES)
def test_what_a_network_does_is_a_page_and_over_when_it_is_over(
    gateway: Gateway, case: Case
) -> None:
    with Person(gateway, patience=1 if case.outcome == GONE else 60) as person:
        again, outcome = suffers(gateway, case, person)
        assert re.fullmatch(case.outcome, outcome)
        # A signed-in user still is. A login that failed starts again.
        wait_until(lambda: person.gets(again) == THERE, 30, "the next try")
    stack = gateway.stack
    for received in stack.app.requests:
        assert received.values("x-auth-sub") == [received.path.removeprefix("/of/")]
    wait_until(lambda: not any(stack.held().values()), 60, "requests to end")
    assert stack.extproc.exit_code is None and ended_without_an_answer(stack) == 0
    assert '"internal_error"' not in stack.extproc.output()


def suffers(
    gateway: Gateway, case: Case, person: Person
) -> tuple[Callable[[], httpx.Response], str]:
    """The next attempt after the fault, and the outcome of the attempt during it."""
    again = person.signs_in if case.doing == "login" and case.outcome != THERE else person.opens
    if case.doing == "login":
        callback = wanted(person.callback)
        ask = lambda: person.arrives(callback)  # noqa: E731
    else:
        wait_until(lambda: person.gets(person.signs_in) == THERE, 30, "a login")
        ask = person.opens
    if case.doing == "page":
        person.user.cookies.drop("extproc-assertion-app")
    with gateway.links[case.link].fault(
        *case.kinds, case.after, case.seconds, requests=case.requests
    ) as fault:
        if case.link == "keys":
            wait_until(lambda: fault.struck, 30, "Envoy to fetch them")
        outcome = person.gets(ask)
        assert fault.struck or case.link == "collector"
    return again, outcome


def wanted(ask: Callable[[], str | None]) -> str:
    found: list[str] = []
    wait_until(lambda: found.extend(filter(None, [ask()])) or found, 30, "a login to begin")
    return found[0]


def ended_without_an_answer(stack: Stack) -> float:
    text = httpx.get(f"{stack.admin}/metrics", trust_env=False).text
    return sum(
        float(each)
        for each in re.findall(
            r'extproc_streams_total\{[^}]*outcome="unanswered"[^}]*\} (\S+)', text
        )
    )
