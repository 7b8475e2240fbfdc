"""What a stranger's head costs Envoy: linear work in each shape, and never many times what the same bytes cost in a harmless one.

Counted in instructions, of a real Envoy under callgrind: so nothing here depends on how busy the machine is.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dataplane.parts import Client, Keys, Stub, Upstream, settings
from rig.callgrind import Counter, there, under
from rig.envoy import EnvoyProcess, envoys
from rig.growth import Growth
from rig.ports import free_port
from rig.shapes import COOKIES, HEADS, OTHERS, Head

from extproc.dataplane import to_yaml

pytestmark = pytest.mark.skipif(not there(), reason="valgrind is not installed (Debian: apt-get install valgrind)")
REST = 2000  # bytes of a head that are no shape's
LEAST = 1_500_000  # instructions: what a head of nothing costs, and a little more
# times the work of an unknown header of the same size
DEAREST = 12
PLACES = {"page": "/", "excluded": "/assets/"}


@dataclass(frozen=True, slots=True)
class Counted:
    client: Client
    counter: Counter
    cap: int

    def work(self, place: str, made: Callable[[int], Head], size: int) -> int:
        """The instructions of one request, of the cheaper of two: a timer of Envoy's own may come in between."""
        head = made(size)
        lines = [f"{name}: {value}" for name, value in head.headers]
        found = []
        for _ in range(2):
            self.counter.count()
            reply = self.client.get(PLACES[place] + head.path, *lines, host="app.test" + head.authority)
            # what Envoy refuses to read at all would be cheap for the wrong reason
            assert reply.status not in (0, 431), f"{size} bytes: {reply.status}"
            found.append(self.counter.count())
        return min(found)

    def growth(self, place: str, made: Callable[[int], Head]) -> Growth:
        return Growth(*(self.work(place, made, size) for size in (0, self.cap // 2, self.cap)))


@pytest.fixture(scope="module", params=list(envoys()))
def envoy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counted]:
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
        cap = re.search(r"max_request_headers_kb: (\d+)", text)
        assert cap, "the configuration bounds no request head"
        program = under(envoys()[request.param], directory)
        with EnvoyProcess(text, envoy=program, port=port, directory=directory) as process:
            counted = Counted(Client(port), Counter(directory, process.pid), int(cap[1]) * 1024 - REST)
            for place in PLACES:  # the first requests compile, connect and fill caches
                for shape in ("many sessions", "many foreign", "an unknown header"):
                    counted.work(place, HEADS[shape], 2000)
            yield counted


CASES = [(place, shape) for shape in HEADS for place in PLACES if shape in COOKIES or place == "page"]


@pytest.mark.parametrize(("place", "shape"), CASES)
def test_rel_33_a_head_of_any_shape_is_linear_work_for_envoy(envoy: Counted, place: str, shape: str) -> None:
    if envoy_is_old(envoy) and shape in OTHERS:
        pytest.skip("")
    growth = envoy.growth(place, HEADS[shape])
    harmless = envoy.growth(place, HEADS["an unknown header"])
    print(place, shape, growth)
    assert growth.faults(LEAST) == ""
    assert growth.whole - growth.none <= LEAST + DEAREST * (harmless.whole - harmless.none)


def envoy_is_old(envoy: Counted) -> bool:
    return False
