"""compose.yaml in a real engine: built, started, signed in from outside and inside, stopped."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from compose.login import sign_in_and_out, wait_for
from harness.engine import Engine
from harness.ports import free_port

pytestmark = pytest.mark.heavy

READ = (
    "import sys, urllib.request as u; print(u.urlopen('http://extproc:9490' + "
    "sys.argv[1]).read().decode())"
)

# Run in the container: its user, the paths it can write to, programs that run as another user.
LOOK = """
import json, os, stat
def files(top):
    for folder, inside, names in os.walk(top):
        inside[:] = [name for name in inside if os.path.join(folder, name) not in ("/proc", "/sys", "/dev")]
        yield folder
        yield from (os.path.join(folder, name) for name in names)
every = [path for path in files("/") if not os.path.islink(path)]
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "user": os.getuid(),
    "writable": sorted(path for path in every if os.path.isdir(path) and os.access(path, os.W_OK)),
    "setuid": [path for path in every if os.path.isfile(path) and os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)],
    "capabilities": int(status["CapBnd"], 16),
    "no new privileges": int(status["NoNewPrivs"]),
}))
"""
BARE = {
    "user": 65532,
    "writable": ["/tmp", "/var/lib/extproc"],
    "setuid": [],
    "capabilities": 0,
    "no new privileges": 1,
}
STORY = {
    "redirect": {"envoy", "extproc"},
    "callback": {"envoy", "extproc", "keycloak"},
    "page": {"envoy", "app"},
}


def services_of(engine: Engine, env: dict[str, str]) -> dict[str, set[str]]:
    """The services of each step of the newest login on the trace page.

    Their spans arrive over the network, some seconds late.
    """

    def read(path: str) -> Any:
        return json.loads(
            engine.compose("exec", "-T", "extproc", "python", "-c", READ, path, env=env)
        )

    traces = read("/traces.json")["traces"]
    services = {trace["trace_id"]: set(trace["services"]) for trace in traces}
    logins = [trace["trace_id"] for trace in traces if trace["reason"] == "signed_in"]
    if not logins:
        return {}
    story = read(f"/traces/{logins[0]}.json")["story"]
    return {step["role"]: services.get(step["trace_id"], set()) for step in story}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as running:
        yield running


def test_every_profile_is_valid(engine: Engine) -> None:
    engine.compose("config", "-q")
    engine.compose("--profile", "*", "config", "-q")
    assert set(engine.compose("--profile", "*", "config", "--services").split()) == {
        "app",
        "collector",
        "envoy",
        "envoy-config",
        "extproc",
        "jaeger",
        "keycloak",
        "tests",
        "valkey",
    }


def test_the_stack_comes_up_and_signs_in_from_outside_and_inside(engine: Engine) -> None:
    engine.images()
    port = free_port()
    ports = {
        "GATEWAY_PORT": str(port),
        "ADMIN_PORT": str(free_port()),
        "COMPOSE_PROJECT_NAME": f"extproc-{port}",
    }
    gateway = f"http://localhost:{port}"
    try:
        engine.compose("--progress", "plain", "build", env=ports)
        engine.compose(
            "--progress", "plain", "up", "-d", "--wait", "--wait-timeout", "600", env=ports
        )
        wait_for(gateway)
        sign_in_and_out(gateway)
        assert "signed in and out" in engine.compose("run", "--rm", "tests", env=ports)
        assert (
            json.loads(engine.compose("exec", "-T", "extproc", "python", "-c", LOOK, env=ports))
            == BARE
        )
        for program in ("sh", "bash", "pip", "apt-get", "dpkg", "perl"):
            output = engine.compose(
                "exec", "-T", "extproc", program, "--version", check=False, env=ports
            )
            assert "not found" in output, f"{program}: {output}"
        end = time.monotonic() + 30
        while (found := services_of(engine, ports)) != STORY and time.monotonic() < end:
            time.sleep(2)
        assert found == STORY
    except BaseException:
        print(engine.compose("ps", "-a", check=False, env=ports))
        print(engine.compose("logs", "--no-color", "--tail", "60", check=False, env=ports))
        raise
    finally:
        engine.compose("--profile", "*", "down", "-v", "-t", "3", check=False, env=ports)
