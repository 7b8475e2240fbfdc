"""What a stranger, a browser or a provider says costs the processor: linear work in each shape, at each place where it is read.

Counted in instructions, in one process under callgrind, which counting.py is: nothing here depends on how busy the machine is.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dataplane.conftest import application
from dataplane.parts import settings
from rig.callgrind import python, there
from rig.growth import Growth

from extproc.dataplane import to_yaml

pytestmark = pytest.mark.skipif(not there(), reason="valgrind is not installed (Debian: apt-get install valgrind)")
TESTS = Path(__file__).parents[1]
LEAST = 2_000_000  # instructions: two requests of nothing
# times the work of one cookie of the same size: what a head may cost at most
DEAREST = 5


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Growth]]:
    directory = tmp_path_factory.mktemp("counted")
    bound = re.search(
        r"max_request_headers_kb: (\d+)",
        to_yaml(settings(applications={"main": application("http://127.0.0.1:1", "localhost")})),
    )
    assert bound, "the configuration bounds no request head"
    command = python(directory, TESTS / "hostile/counting.py", directory, str(int(bound[1]) * 1024 - 2000))
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    ran = subprocess.run(command, capture_output=True, text=True, timeout=900, env={**os.environ, "PYTHONPATH": paths})
    assert ran.returncode == 0, ran.stderr[-3000:]
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return {(place, shape): Growth(*work) for place, shape, *work in lines}


def test_rel_33_what_a_stranger_or_a_provider_says_is_linear_work(counted: dict[tuple[str, str], Growth]) -> None:
    faults = [
        f"{place}, {shape}: {fault}" for (place, shape), growth in counted.items() if (fault := growth.faults(LEAST))
    ]
    assert not faults, "\n".join(faults)
    assert len(counted) > 200


def test_rel_33_no_shape_of_a_head_costs_many_times_what_one_cookie_does(
    counted: dict[tuple[str, str], Growth],
) -> None:
    one = counted["a page, nobody", "one cookie"]
    most = LEAST + DEAREST * (one.whole - one.none)
    heads = {
        (place, shape)
        for place, shape in counted
        if "," in place or "log" in place or place in ("callback", "own sessions")
    }
    faults = [
        f"{place}, {shape}: {work:,} instructions, more than {most:,}"
        for place, shape in heads
        if (work := counted[place, shape].whole - counted[place, shape].none) > most
        and "token" not in place
        and "body" not in place
    ]
    assert not faults, "\n".join(faults)
