"""The machine over the whole gateway, with the same steps each time.

tests/stateful/run runs it for hours with other steps.
"""

import os
import subprocess
import sys

import pytest
from harness.gateway import ROOT

from stateful.world import STORES

EXAMPLES = 8

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("store", STORES)
def test_whatever_people_siblings_providers_and_strangers_do_nobody_is_somebody_else_and_everybody_is_served(
    store: str,
) -> None:
    # In a process of its own, because hypothesis draws by the modules that a process has.
    command = [sys.executable, "-m", "stateful", "--store", store, "--examples", str(EXAMPLES)]
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=600
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr[-4000:]
