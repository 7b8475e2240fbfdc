"""What a request's head costs Envoy: linear work in each shape, comparable to harmless bytes.

Counted in the instructions of a real Envoy under callgrind, so a busy machine changes nothing.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass

import pytest
from harness.callgrind import Counter, there, under
from harness.envoy import EnvoyProcess, envoys
from harness.envoy_parts import Keys, Stub, Upstream, exchange, settings
from harness.growth import Growth
from harness.ports import free_port
from harness.shapes import COOKIES, HEADS, OTHERS, Head

from extproc.envoyconfig import to_yaml

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not there(), reason="valgrind is not installed (Debian: apt-get install valgrind)"
    ),
]
# Bytes of a head beside the shape.
REST = 2000
# Instructions: a little more than those of an empty head.
LEAST = 1_500_000
# As a multiple of the work for an unknown header of the same size.
DEAREST = 12
HARMLESS = "an unknown header"
PLACES = {"page": "/", "excluded": "/assets/"}


@dataclass(frozen=True, slots=True)
class Counted:
    port: int
    counter: Counter
    cap: int
    known: dict[tuple[str, str], Growth]

    def work(self, place: str, made: Callable[[int], Head], size: int) -> int:
        """The instructions of one request."""
        head = made(size)
        lines = [
            f"host: app.test{head.authority}",
            "connection: close",
            *(": ".join(header) for header in head.headers),
        ]
        raw = "\r\n".join([f"GET {PLACES[place]}{head.path} HTTP/1.1", *lines]) + "\r\n\r\n"
        # The first requests are slow, because callgrind compiles.
        reply = exchange(self.port, raw.encode("latin-1"), wait=300)
        # A head that Envoy refuses to read would be cheap for the wrong reason.
        assert reply.status not in (0, 431), f"{size} bytes: {reply.status}"
        return self.counter.count()

    def growth(self, place: str, shape: str) -> Growth:
        """The growth of the work. A suspicious one is measured again, and the smaller values count.

        Envoy's own timers only add to the work.
        """
        if (place, shape) not in self.known:
            found = self._measured(place, shape)
            for _ in range(4):
                if not found.faults(LEAST):
                    break
                again = self._measured(place, shape)
                found = Growth(*map(min, astuple(found), astuple(again)))
            self.known[place, shape] = found
        return self.known[place, shape]

    def _measured(self, place: str, shape: str) -> Growth:
        return Growth(
            *(self.work(place, HEADS[shape], size) for size in (0, self.cap // 2, self.cap))
        )


@pytest.fixture(scope="module")
def envoy(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Counted]:
    directory, port = tmp_path_factory.mktemp("counted"), free_port()
    with Upstream() as upstream, Stub() as stub, Keys() as keys:
        page = {"hosts": ["app.test"], "upstream": upstream.url}
        made = settings(
            listen=f"127.0.0.1:{stub.port}",
            gateway={
                "listen": f"127.0.0.1:{port}",
                "url": f"http://app.test:{port}",
                "access_log": str(directory / "access.log"),
                "keys": [f"127.0.0.1:{keys.port}"],
            },
            applications={
                "main": {**page, "provider": "main", "public_paths": ["/public/"]},
                "assets": {**page, "path_prefix": "/assets/", "exclude": True},
            },
        )
        text = to_yaml(made)
        cap = re.search(r"#cookie > (\d+)", text)
        assert cap, "the configuration bounds no cookies"
        program = under(envoys()[request.param], directory)
        with EnvoyProcess(
            text, envoy=program, port=port, directory=directory, patience=120
        ) as process:
            counted = Counted(port, Counter(directory, process.pid), int(cap[1]) - REST, {})
            # The first requests compile, connect and fill caches.
            for place in PLACES:
                for shape in ("many sessions", "many foreign", HARMLESS):
                    counted.work(place, HEADS[shape], 2000)
            yield counted


def check(envoy: Counted, place: str, shape: str) -> None:
    harmless, growth = envoy.growth(place, HARMLESS), envoy.growth(place, shape)
    assert growth.faults(LEAST) == ""
    assert growth.whole - growth.none <= LEAST + DEAREST * (harmless.whole - harmless.none)


COOKIE_CASES = [
    (place, shape) for place in PLACES for shape in COOKIES if place == "page" or "many" in shape
]


@pytest.mark.attack("REL-33")
@pytest.mark.threat("linear-work")
@pytest.mark.parametrize("envoy", list(envoys()), indirect=True)
@pytest.mark.parametrize(("place", "shape"), COOKIE_CASES)
def test_a_cookie_header_of_any_shape_is_linear_work_for_envoy(
    envoy: Counted, place: str, shape: str
) -> None:
    check(envoy, place, shape)


@pytest.mark.attack("REL-33")
@pytest.mark.threat("bounds")
# An older Envoy has older parsers, not different ones.
@pytest.mark.parametrize("envoy", ["newest"], indirect=True)
@pytest.mark.parametrize("shape", OTHERS)
def test_a_head_of_any_shape_is_linear_work_for_envoy(envoy: Counted, shape: str) -> None:
    check(envoy, "page", shape)


def test_quadratic_work_is_told_from_linear_work() -> None:
    assert Growth(10, 60, 110).faults(20) == Growth(10, 12, 30).faults(20) == ""
    assert Growth(10, 35, 110).faults(20) == "100 for the whole is 4.00 times the 25 for its half"
    assert Growth(10, 5, 110).faults(20) != ""
