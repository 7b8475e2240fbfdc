"""compose.yaml in a real engine: built, started, signed in from outside and inside, stopped."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml
from compose.login import sign_in_and_out, wait_for
from harness.engine import Engine
from harness.gateway import ROOT
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


UP = ("--progress", "plain", "up", "-d", "--wait", "--wait-timeout", "600")


@dataclass(frozen=True)
class Running:
    """A stack that is up: the gateway's URL, and the environment of further commands."""

    gateway: str
    env: dict[str, str]


@pytest.fixture(scope="module")
def stack(engine: Engine) -> Iterator[Running]:
    engine.images()
    port = free_port()
    env = {
        "GATEWAY_PORT": str(port),
        "ADMIN_PORT": str(free_port()),
        "COMPOSE_PROJECT_NAME": f"extproc-{port}",
    }
    try:
        engine.compose("--progress", "plain", "build", env=env)
        engine.compose(*UP, env=env)
        yield Running(f"http://localhost:{port}", env)
    finally:
        print(engine.compose("ps", "-a", check=False, env=env))
        print(engine.compose("logs", "--no-color", "--tail", "60", check=False, env=env))
        engine.compose("--profile", "*", "down", "-v", "-t", "3", check=False, env=env)


def test_the_stack_comes_up_and_signs_in_from_outside_and_inside(
    engine: Engine, stack: Running
) -> None:
    wait_for(stack.gateway)
    sign_in_and_out(stack.gateway)
    assert "signed in and out" in engine.compose("run", "--rm", "tests", env=stack.env)
    look = engine.compose("exec", "-T", "extproc", "python", "-c", LOOK, env=stack.env)
    assert json.loads(look) == BARE
    for program in ("sh", "bash", "pip", "apt-get", "dpkg", "perl"):
        words = ("exec", "-T", "extproc", program, "--version")
        output = engine.compose(*words, check=False, env=stack.env)
        assert "not found" in output, f"{program}: {output}"
    end = time.monotonic() + 30
    while (found := services_of(engine, stack.env)) != STORY and time.monotonic() < end:
        time.sleep(2)
    assert found == STORY


def test_the_profile_redis_keeps_sessions_in_valkey(engine: Engine, stack: Running) -> None:
    env = {**stack.env, "COMPOSE_PROFILES": "redis", "SETTINGS": "redis"}
    engine.compose(*UP, env=env)
    ready = ("exec", "-T", "extproc", "python", "-c", READ, "/readyz")
    end = time.monotonic() + 120
    # The processor is alive before it has a connection to Valkey.
    while (
        '"ready":true' not in engine.compose(*ready, check=False, env=env)
        and time.monotonic() < end
    ):
        time.sleep(1)
    assert '"ready":true' in engine.compose(*ready, env=env)
    wait_for(stack.gateway)
    sign_in_and_out(stack.gateway)
    scan = ("exec", "-T", "valkey", "valkey-cli", "--scan", "--pattern", "extproc:*")
    assert engine.compose(*scan, env=env).split(), "nothing of the processor is in Valkey"


def test_the_settings_of_the_profiles_differ_in_the_store_alone() -> None:
    sqlite, redis = (
        yaml.safe_load((ROOT / f"tests/compose/{name}.yaml").read_text())
        for name in ("sqlite", "redis")
    )
    assert (sqlite.pop("store"), redis.pop("store")["kind"]) == (
        {"path": "/var/lib/extproc/sessions.sqlite3"},
        "redis",
    )
    assert sqlite == redis
