"""Debian 13 with its Python 3.13: `tests/run` in a container, for unit tests and the journeys."""

from collections.abc import Iterator

import pytest
from harness.downloads import CACHE
from harness.engine import Engine
from harness.gateway import ROOT

pytestmark = pytest.mark.heavy

IMAGE = "extproc-tests:debian-13"
TESTS = (
    "tests/unit",
    "tests/properties",
    "tests/e2e/test_login.py",
    "tests/e2e/test_logout.py",
    "tests/e2e/test_refresh.py",
    "tests/e2e/test_workers.py",
)
# The checkout is copied, since tests/run makes .venv in it; what this machine made there stays behind.
COPY = "tar -C /src --exclude=./.git --exclude=./.venv* --exclude=./*_cache -c . | tar -x -C /work"
# Python 3.13 reports each connection of SQLite that a test left to the garbage collector.
UNCLOSED = "ignore:unclosed database:ResourceWarning"
PYTHON = "grep -E '^VERSION_ID|^ID=' /etc/os-release && python3 --version"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


def test_unit_tests_and_journeys_pass_on_debian_13(engine: Engine) -> None:
    engine.debian_13(IMAGE, "redis-server")
    work = f"mkdir /work && {COPY} && cd /work && {PYTHON} && tests/run --numprocesses 2 "
    mounts = ("-v", f"{ROOT}:/src:ro", "-v", f"{CACHE}:/root/.cache/extproc-tests")
    options = ("-m", "not heavy", "-W", UNCLOSED)
    command = ("bash", "-c", work + '"$@"', "tests/run", *TESTS, *options)
    printed = engine.docker("run", "--rm", "--network", "host", *mounts, IMAGE, *command)
    assert 'VERSION_ID="13"' in printed and "Python 3.13" in printed
    closing = printed.splitlines()[-1]
    assert " passed" in closing and "skipped" not in closing and "failed" not in closing, printed
