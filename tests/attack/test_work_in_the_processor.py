"""What foreign input costs the processor: linear work in each shape, at each place that reads it.

Counted in instructions, in one process under callgrind (counting.py), so a busy machine changes
nothing.
"""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from attack.counting import ASKED
from harness.callgrind import python, there
from harness.envoy_parts import settings
from harness.envoy_world import application
from harness.growth import Growth

from extproc.envoyconfig import to_yaml

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        not there(), reason="valgrind is not installed (Debian: apt-get install valgrind)"
    ),
]
TESTS = Path(__file__).parents[1]
# Instructions: two empty requests.
LEAST = 2_000_000
# Instructions for each byte of a head. Percent signs in a query cost most, 775.
DEAREST = 1000


@dataclass(frozen=True, slots=True)
class Counted:
    head: int  # bytes
    growths: dict[tuple[str, str], Growth]  # by place and shape


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Counted:
    directory = tmp_path_factory.mktemp("counted")
    configuration = to_yaml(
        settings(applications={"main": application("http://127.0.0.1:1", "localhost")})
    )
    bound = re.search(r"#cookie > (\d+)", configuration)
    assert bound, "the configuration bounds no cookies"
    head = int(bound[1]) - 2000
    command = python(directory, TESTS / "attack/counting.py", directory, str(head))
    paths = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    return Counted(head, {(place, shape): Growth(*work) for place, shape, *work in lines})


@pytest.mark.attack("REL-33")
@pytest.mark.threat("bounds")
@pytest.mark.threat("linear-work")
def test_what_a_stranger_or_a_provider_says_is_linear_work(counted: Counted) -> None:
    growths = counted.growths.items()
    faults = [
        f"{place}, {shape}: {fault}"
        for (place, shape), growth in growths
        if (fault := growth.faults(LEAST))
    ]
    assert not faults, "\n".join(faults)
    assert len(growths) > 200


@pytest.mark.attack("REL-33")
def test_no_byte_of_a_head_costs_many_times_what_another_does(counted: Counted) -> None:
    most = LEAST + DEAREST * counted.head
    dear = {
        where: growth
        for where, growth in counted.growths.items()
        if growth.whole - growth.none > most
    }
    assert not {where: growth for where, growth in dear.items() if where[0] in ASKED}
