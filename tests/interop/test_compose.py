"""compose.yaml in a real engine: built, started, signed in from outside and inside, stopped."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose.login import sign_in_and_out, wait_for
from harness.engine import Engine
from harness.gateway import ROOT
from harness.ports import free_port
from harness.processes import wait_until

from extproc.settings.load import parse

pytestmark = pytest.mark.heavy

HEALTH = ("extproc", "health", "--live", "--config", "/etc/extproc/extproc.yaml")

READ = (
    "import sys, urllib.request as u; print(u.urlopen('http://extproc:9490' + "
    "sys.argv[1]).read().decode())"
)

# Run in the container: its user, the paths it can write to, programs that run as another user, and
# what could install packages (Python's own ensurepip has a whole pip in a wheel).
LOOK = """
import json, os, stat
INSTALLERS = ("pip", "setuptools", "wheel", "ensurepip")
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
    "installers": [path for path in every if path.endswith(".whl") or os.path.basename(path) in INSTALLERS],
    "capabilities": int(status["CapBnd"], 16),
    "no new privileges": int(status["NoNewPrivs"]),
}))
"""
BARE = {
    "user": 65532,
    "writable": ["/tmp", "/var/lib/extproc"],
    "setuid": [],
    "installers": [],
    "capabilities": 0,
    "no new privileges": 1,
}
# Neither Keycloak nor the application reaches the trace page's listener.
STORY = {"redirect": {"envoy", "extproc"}, "callback": {"envoy", "extproc"}, "page": {"envoy"}}
# Run in a container: which of these addresses it can connect to.
REACH = """
import json, socket, sys
reached = []
for place in sys.argv[1:]:
    host, port = place.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), 5).close()
        reached.append(place)
    except OSError:
        pass
print(json.dumps(reached))
"""
ENVIRONMENT = "print(open('/proc/1/environ').read())"


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
    wait_until(
        lambda: services_of(engine, stack.env) == STORY, 60, "the spans of the story", every=2
    )


@pytest.mark.threat("processor-peer")
def test_the_application_reaches_neither_the_processor_nor_keycloak(
    engine: Engine, stack: Running
) -> None:
    place = engine.compose("ps", "--format", "json", "extproc", env=stack.env)
    name = json.loads(place.splitlines()[0])["Name"]
    networks = json.loads(engine.docker("inspect", name))[0]["NetworkSettings"]["Networks"]
    addresses = [network["IPAddress"] for network in networks.values()]
    assert len(addresses) == 1
    guarded = [f"{host}:{port}" for host in ("extproc", *addresses) for port in (9490, 9500)]
    words = ("python", "-c", REACH, *guarded, "keycloak:8080", f"envoy:{stack.env['GATEWAY_PORT']}")
    reached = engine.compose("exec", "-T", "app", *words, env=stack.env)
    assert json.loads(reached) == [f"envoy:{stack.env['GATEWAY_PORT']}"]
    # The same words show from the processor's own container that something listens there.
    assert set(guarded) <= set(
        json.loads(engine.compose("exec", "-T", "extproc", *words, env=stack.env))
    )


def test_no_secret_is_in_the_environment_and_every_container_has_limits(
    engine: Engine, stack: Running
) -> None:
    seen = engine.compose("exec", "-T", "extproc", "python", "-c", ENVIRONMENT, env=stack.env)
    assert "demo-only" not in seen
    for line in engine.compose("ps", "--format", "json", env=stack.env).splitlines():
        [container] = json.loads(engine.docker("inspect", json.loads(line)["Name"]))
        if container["Config"]["Labels"]["com.docker.compose.service"] in (
            "envoy",
            "extproc",
            "app",
        ):
            assert "demo-only" not in json.dumps(container["Config"])
        assert 0 < container["HostConfig"]["PidsLimit"] <= 1000
        assert 0 < container["HostConfig"]["Memory"] <= 2 << 30


def test_the_docker_run_line_of_the_dockerfile_works(
    engine: Engine, stack: Running, tmp_path: Path
) -> None:
    line = re.search(r"(?m)^#   (docker run .*)$", (ROOT / "Dockerfile").read_text())
    assert line is not None
    settings = in_a_container() + (
        "providers: {main: {issuer: 'https://idp.invalid', client_id: x}}\n"
        "applications:\n  app: {hosts: [localhost], upstream: 'http://127.0.0.1:1', provider: main}\n"
    )
    (tmp_path / "extproc.yaml").write_text(settings)
    name = f"extproc-run-{stack.env['GATEWAY_PORT']}"
    text = line[1].replace("--name extproc", f"--name {name}").replace("-v extproc:", f"-v {name}:")
    text = text.replace("$PWD", str(tmp_path))
    for port in ("9500:9500", "9490:9490"):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1::{port[5:]}")
    env = {"EXTPROC_SECRET": "x" * 40, "CLIENT_SECRET": "y"}
    try:
        engine.docker(*shlex.split(text)[1:], env=env)
        health = ("inspect", "--format", "{{.State.Health.Status}}", name)
        wait_until(
            lambda: engine.docker(*health).strip() == "healthy", 120, "a healthy container", every=1
        )
        assert engine.docker("exec", name, *HEALTH).strip() == "live"
    finally:
        print(engine.docker("logs", name, check=False))
        engine.docker("rm", "-f", name, check=False)
        engine.docker("volume", "rm", name, check=False)


def in_a_container() -> str:
    """The settings that docs/topologies.md has for that line."""
    docs = (ROOT / "docs/topologies.md").read_text()
    section = docs.partition("## In a container\n")[2].partition("\n## ")[0]
    lines = [line[4:] for line in section.splitlines() if line.startswith("    ")]
    return "\n".join(lines) + "\n"


def test_the_settings_of_the_docs_for_a_container_can_be_used(monkeypatch) -> None:
    monkeypatch.setenv("EXTPROC_SECRET", "x" * 40)
    applications = "applications: {app: {hosts: [x], upstream: 'http://x', exclude: true}}\n"
    settings = parse(in_a_container() + applications)
    assert str(settings.listen) == "0.0.0.0:9500" and not settings.store.path.is_absolute()
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert "\nWORKDIR /var/lib/extproc\n" in dockerfile
    assert "\nVOLUME /var/lib/extproc\n" in dockerfile


def test_the_profile_redis_keeps_sessions_in_valkey(engine: Engine, stack: Running) -> None:
    env = {**stack.env, "COMPOSE_PROFILES": "redis", "SETTINGS": "redis"}
    engine.compose(*UP, env=env)
    ready = ("exec", "-T", "extproc", "python", "-c", READ, "/readyz")
    # The processor is alive before it has a connection to Valkey.
    wait_until(
        lambda: '"ready":true' in engine.compose(*ready, check=False, env=env),
        120,
        "the connection to Valkey",
        every=1,
    )
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


def test_only_envoy_is_on_more_than_one_network() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    networks = {name: service.get("networks") for name, service in services.items()}
    assert networks.pop("envoy") == ["control", "identity", "applications"]
    assert networks.pop("tests") is networks.pop("envoy-config") is None
    assert {name: len(each) for name, each in networks.items()} == dict.fromkeys(networks, 1)
    assert (networks["app"], networks["keycloak"]) == (["applications"], ["identity"])
    assert all(service["mem_limit"] and service["pids_limit"] for service in services.values())
