"""The commands of extproc as processes of their own: what they print, and how they end."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from harness.ports import answers, free_ports

RIGHT = {
    "secret": "x" * 32,
    "providers": {
        "main": {"issuer": "https://idp.example", "client_id": "gateway", "client_secret": "s"}
    },
    "applications": {
        "app": {"hosts": ["localhost"], "upstream": "http://127.0.0.1:9600", "provider": "main"}
    },
}


def run(*arguments, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "extproc", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_the_command_line_says_what_is_wrong_and_exits_1(tmp_path):
    for command in ("serve", "envoy", "check"):
        done = run(command, "--config", "gone.yaml", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (
            1,
            "",
        ) and done.stderr.startswith("gone.yaml: No such file or directory; ")
    assert run(cwd=tmp_path).returncode == 2


def test_envoy_writes_its_file_whole_and_without_a_shell(tmp_path):
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT))
    (tmp_path / "envoy.yaml").write_text("old")
    (tmp_path / "bad.yaml").write_text("a: [")
    assert (
        run("envoy", "--config", "bad.yaml", "--output", "envoy.yaml", cwd=tmp_path).returncode == 1
    )
    assert (tmp_path / "envoy.yaml").read_text() == "old"
    done = run("envoy", "--output", "envoy.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "envoy.yaml").read_text() == run("envoy", cwd=tmp_path).stdout != ""
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bad.yaml",
        "envoy.yaml",
        "extproc.yaml",
    ]
    done = run("envoy", "--output", "gone/envoy.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "gone/envoy.yaml: No such file or directory" in done.stderr


def test_check_names_what_to_register(tmp_path):
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT))
    done = run("check", "--offline", cwd=tmp_path)
    assert (
        done.returncode == 0
        and "http://localhost:8080/oauth2/callback" in done.stdout
        and done.stdout.splitlines()[-1].startswith("OK")
    )


def test_a_table_of_requests_is_tested_without_anything_that_runs(tmp_path):
    rules = [{"name": "admin", "paths": ["/admin/"], "allow": {"groups": ["admins"]}}]
    app = RIGHT["applications"]["app"] | {"rules": rules}
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT | {"applications": {"app": app}}))
    bob = {"url": "/admin/", "user": {"sub": "bob", "groups": ["CANARY"]}, "expect": 403}
    tests = [bob, {"application": "app", "path": "/admin/", "expect": "login", "rule": "admin"}]
    for document, code, text in (
        ({"tests": tests}, 0, "OK, 2 tests"),
        (
            {"tests": [bob | {"expect": "allow"}]},
            1,
            "rules.admin.allow.groups does not hold (admins)",
        ),
        (
            {"tests": [bob | {"expects": 1}]},
            2,
            "tests.yaml: tests[0].expects: there is no such key",
        ),
    ):
        (tmp_path / "tests.yaml").write_text(yaml.safe_dump(document))
        done = run("test", "tests.yaml", cwd=tmp_path)
        assert done.returncode == code and text in done.stdout + done.stderr
        assert "CANARY" not in done.stdout + done.stderr
    done = run("check", "--offline", cwd=tmp_path)
    assert "ok: applications.app.rules: a user who loses a group keeps" in done.stdout


def test_the_schema_is_json_and_describes_every_key(tmp_path):
    done = run("schema", cwd=tmp_path)
    assert done.stderr == ""
    schema = json.loads(done.stdout)
    assert {"secret", "gateway", "providers", "applications", "identity", "timeouts"} <= set(
        schema["properties"]
    )


def test_serve_says_when_it_cannot_listen(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for key, other in (("listen", "admin"), ("admin", "listen")):
            (tmp_path / "extproc.yaml").write_text(
                yaml.safe_dump(RIGHT | {key: f"127.0.0.1:{port}", other: "127.0.0.1:0"})
            )
            done = run("serve", cwd=tmp_path)
            assert (
                done.returncode == 1
                and f"extproc: {key}: 127.0.0.1:{port} cannot be bound" in done.stderr
                and "Traceback" not in done.stderr
            )
            assert is_log_and_one_message(done.stderr)


def is_log_and_one_message(stderr: str) -> bool:
    """Whether every line is one of the log, in its format, but for the last, which is for the
    operator.
    """
    *logged, message = stderr.splitlines()
    assert all("event" in json.loads(line) for line in logged), stderr
    return message.startswith("extproc: ")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file or directory"), ("no certificate", "holds no certificate in PEM")],
    ids=["gone", "other"],
)
def test_a_provider_s_authorities_that_cannot_be_read_are_one_message(
    tmp_path, workers, content, reason
):
    authorities = tmp_path / "ca.pem"
    if content is not None:
        authorities.write_text(content)
    provider = RIGHT["providers"]["main"] | {"ca_file": str(authorities)}
    first = free_ports(3)
    said = {
        "workers": workers,
        "listen": f"127.0.0.1:{first}",
        "admin": f"127.0.0.1:{first + 2}",
        "log": {"format": "json"},
    }
    (tmp_path / "extproc.yaml").write_text(
        yaml.safe_dump(RIGHT | said | {"providers": {"main": provider}})
    )
    done = run("serve", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert is_log_and_one_message(done.stderr)
    assert done.stderr.endswith(f"providers.main.ca_file: {authorities}: {reason}\n")
    # The store is closed: it leaves nothing beside its file. Of several workers, one may be ended
    # while it starts; the next start then reads what it left.
    assert workers > 1 or not list(tmp_path.glob("*-wal"))


def test_a_command_that_sets_up_no_log_prints_no_bare_event():
    program = (
        "import logging; from extproc import telemetry; telemetry.log(logging.ERROR, 'an_event')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_check_names_the_addresses_of_several_workers(tmp_path):
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT | {"workers": 2}))
    assert (
        "2 workers, at 127.0.0.1:9500, 127.0.0.1:9501\n"
        in run("check", "--offline", cwd=tmp_path).stdout
    )


def test_several_workers_say_when_one_of_them_cannot_listen_and_none_stays(tmp_path):
    first = free_ports(3)
    said = {"workers": 2, "listen": f"127.0.0.1:{first}", "admin": f"127.0.0.1:{first + 2}"}
    (tmp_path / "extproc.yaml").write_text(yaml.safe_dump(RIGHT | said))
    for key, port in (("listen", first + 1), ("admin", first + 2)):
        with socket.create_server(("127.0.0.1", port)):
            done = run("serve", cwd=tmp_path)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert f"extproc: {key}: 127.0.0.1:{port} cannot be bound" in done.stderr
        assert not answers(first)


def test_a_store_that_cannot_be_opened_is_said_with_several_workers_too(tmp_path):
    said = {"workers": 2, "store": {"path": str(tmp_path / "gone" / "x.sqlite3")}}
    (tmp_path / "extproc.yaml").write_text(
        yaml.safe_dump(RIGHT | said | {"admin": f"127.0.0.1:{free_ports(1)}"})
    )
    done = run("serve", cwd=tmp_path)
    assert (
        done.returncode == 1
        and "extproc: store.path" in done.stderr
        and "Traceback" not in done.stderr
    )


PLAIN = """
import sys
for name in sys.argv[2:]:
    sys.modules[name] = None  # as if it were not installed
sys.argv[1:] = [sys.argv[1]]
from extproc.cli.main import main
main()
"""


def test_the_demo_of_a_plain_installation_says_what_to_install(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, "demo", "flask", "nanoidp"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert (done.returncode, done.stdout) == (1, "")
    missing, _, remedy = done.stderr.removeprefix("extproc demo: not installed: ").partition("; ")
    assert {"flask", "nanoidp"} <= set(missing.split(", ")) <= {"flask", "nanoidp", "envoy"}
    assert remedy == "the demo needs more: pip install 'extproc-oidc[demo]'\n"


def test_the_version_is_the_first_thing_of_a_report(tmp_path):
    done = run("--version", cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("extproc ")
