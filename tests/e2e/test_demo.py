"""The demo as users start it: real processes on loopback."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from extproc.checks.browser import Browser

ROOT = Path(__file__).parents[2]


class Demo:
    """A running `extproc demo --describe`."""

    def __init__(self, folder):
        described = folder / "d.json"
        self.output = folder / "output"
        with open(self.output, "w") as output:
            command = [
                sys.executable,
                "-m",
                "extproc",
                "demo",
                "--port",
                str(free_port()),
                "--describe",
                str(described),
            ]
            environment = {**os.environ, "TMPDIR": str(folder)}
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, env=environment
            )
        deadline = time.monotonic() + 180
        while not described.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                # Otherwise its parts would keep running after a failed test.
                self.process.terminate()
                raise AssertionError(self.output.read_text())
            time.sleep(0.05)
        self.described = json.loads(described.read_text())
        self.pids = self.described["pids"]

    def left(self):
        """The roles whose processes are still there after a moment."""
        deadline = time.monotonic() + 60
        while there := [role for role, pid in self.pids.items() if alive(pid)]:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        return there


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@contextmanager
def running_in(folder):
    running = Demo(folder)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def demo(tmp_path):
    with running_in(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    """A demo that tests only look at."""
    with running_in(tmp_path_factory.mktemp("demo")) as running:
        yield running


def folders(tmp_path):
    return [path.name for path in tmp_path.iterdir() if path.name.startswith("extproc-demo-")]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.heavy)]
)
def test_a_signal_ends_all_of_it_and_leaves_nothing(demo, tmp_path, number):
    assert httpx.get(demo.described["app"] + "public/").status_code == 200
    assert httpx.get(demo.described["traces"]).status_code == 200
    assert folders(tmp_path)
    demo.process.send_signal(number)
    assert demo.process.wait(60) == 0
    assert demo.left() == []
    assert folders(tmp_path) == []


@pytest.mark.heavy
def test_nothing_is_left_even_when_the_demo_is_killed(demo):
    demo.process.kill()
    demo.process.wait()
    assert demo.left() == []


@pytest.mark.heavy
@pytest.mark.parametrize("role", ["envoy", "extproc", "app", "idp"])
def test_a_part_that_dies_ends_the_demo_and_is_named(demo, role):
    os.kill(demo.pids[role], signal.SIGKILL)
    assert demo.process.wait(60) == 1
    assert f"extproc demo: {role} ended (signal SIGKILL)" in demo.output.read_text()
    assert demo.left() == []


def test_the_providers_management_is_not_behind_the_gateway(visited):
    for path in ("", "/users", "/api/users", "/api/config", "/login"):
        assert httpx.get(visited.described["idp"] + path).status_code == 404
    page = httpx.get(visited.described["idp"] + "/logout")
    assert page.status_code == 200
    assert "https://" not in page.text


def test_alice_may_open_the_page_for_admins_and_bob_may_not(visited):
    of_alice, of_bob = (
        Browser(user["name"], user["password"])
        for user in (visited.described["user"], visited.described["other_user"])
    )
    page = visited.described["app"] + "admin/"
    with of_alice as alice, of_bob as bob:
        assert alice.open(page).answer.status_code == 200
        refused = bob.open(page).answer
        assert refused.status_code == 403
        assert "not_allowed" in refused.text and "Sign in as somebody else" in refused.text
        assert "admins" not in refused.text
        for user in (alice, bob):
            assert user.open(visited.described["app"]).answer.status_code == 200
    assert page in visited.output.read_text()


def test_check_finds_all_right_and_prints_no_secret():
    done = subprocess.run(
        [sys.executable, "-m", "extproc", "demo", "--check", "--port", str(free_port())],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✗" not in done.stdout
    assert done.stdout.count("✓") >= 20
    assert "bob is not, so it is closed" in done.stdout
    assert re.search(r"extproc: POST /token \[200\]", done.stdout)
    assert not re.search(r"(code|state|nonce|id_token_hint)=[^…&]", done.stdout)


def test_the_help_of_the_script_installs_nothing_and_names_every_option(tmp_path):
    script = tmp_path / "demo"
    script.write_bytes((ROOT / "demo").read_bytes())
    asked = subprocess.run(
        ["sh", script, "--check", "--help"], capture_output=True, text=True, check=True
    )
    assert list(tmp_path.iterdir()) == [script]
    command = [sys.executable, "-m", "extproc", "demo", "--help"]
    own = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    options = set(re.findall(r"--[a-z]+", own)) - {"--help"}
    assert options and options <= set(re.findall(r"--[a-z]+", asked.stdout))
