"""`extproc health` against an admin listener that answers what the test wants."""

import json
import re
from pathlib import Path

import pytest
import yaml
from harness.ports import free_port
from harness.static_server import Answer, StaticServer


@pytest.fixture
def admin():
    with StaticServer() as server:
        server.answers["/livez"] = Answer.json({"live": True})
        server.answers["/readyz"] = Answer.json({"ready": True})
        yield server


@pytest.fixture
def at(config):
    """Writes the settings with an address of the admin listener."""

    def at(address):
        config.write_text(yaml.safe_dump({**yaml.safe_load(config.read_text()), "admin": address}))
        return str(config)

    return at


def test_a_ready_processor_is_exit_code_0(run, at, admin):
    path = at(admin.address)
    assert run("health", "--config", path) == (0, "ready\n")
    assert run("health", "--live", "--config", path) == (0, "live\n")


def test_what_is_missing_is_printed_and_exit_code_1_and_live_is_another_question(run, at, admin):
    missing = [{"part": "store", "reason": "gone\x1b[2J"}, {"part": "provider x", "reason": "no"}]
    admin.answers["/readyz"] = Answer.json({"ready": False, "missing": missing}, 503)
    path = at(admin.address)
    code, printed = run("health", "--config", path)
    assert (code, printed) == (1, "store: gone�[2J\nprovider x: no\n")
    assert run("health", "--live", "--config", path) == (0, "live\n")


@pytest.mark.parametrize("body", ["", "[]", '{"missing": 5}', '{"missing": ["x"]}'])
def test_another_program_at_that_address_is_not_healthy(run, at, admin, body):
    admin.answers["/readyz"] = Answer(404, body=body)
    code, printed = run("health", "--config", at(admin.address))
    assert (code, printed) == (1, "the answer is 404, and not the processor's\n")


def test_no_answer_is_exit_code_1_with_the_address(run, at):
    address = f"127.0.0.1:{free_port()}"
    code, printed = run("health", "--config", at(address))
    assert code == 1 and printed.startswith(f"extproc: admin: {address} does not answer (Connect")


def test_settings_that_cannot_be_used_are_exit_code_1(run, config):
    config.write_text("admin: 5")
    code, printed = run("health", "--config", str(config))
    assert code == 1 and "admin: an address is host:port" in printed


def test_the_image_and_the_compose_file_ask_the_processor_by_its_settings():
    root = Path(__file__).parents[3]
    check = ["extproc", "health", "--live", "--config", "/etc/extproc/extproc.yaml"]
    dockerfile = (root / "Dockerfile").read_text()
    line = re.search(r"(?m)^ *CMD (\[.*\])$", dockerfile.partition("HEALTHCHECK")[2])
    assert json.loads(line[1]) == check
    compose = yaml.safe_load((root / "compose.yaml").read_text())
    assert compose["services"]["extproc"]["healthcheck"]["test"] == ["CMD", *check]
    served = re.search(r'(?m)^CMD \["serve", (.*)\]$', dockerfile)[1]
    assert served == '"--config", "/etc/extproc/extproc.yaml"'


@pytest.mark.parametrize("command", [["health"], ["sessions", "list", "--all"]])
def test_an_address_that_no_client_can_call_does_not_answer(run, at, command):
    code, printed = run(*command, "--config", at("xn--a.localhost:9490"))
    assert code == 1 and printed.startswith(
        "extproc: admin: xn--a.localhost:9490 does not answer ("
    )
