"""The SBOM has exactly the locked packages, and tests/run finds known vulnerabilities."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest
from harness.downloads import found
from harness.ports import free_port
from supply import sbom
from supply.audit import BROKEN, FOUND, NONE, UNCHECKED, verdict

ROOT = Path(__file__).parents[2]
HASH = "0" * 64


# ---- the SBOM


def installed(folder: Path, **requires: list[str]) -> dict[str, Distribution]:
    """Packages of version 1, by name, and the requirements that each declares."""
    for name, lines in requires.items():
        place = folder / f"{name}-1.dist-info"
        place.mkdir()
        (place / "METADATA").write_text(
            "\n".join(
                [
                    "Metadata-Version: 2.1",
                    f"Name: {name}",
                    "Version: 1",
                    *(f"Requires-Dist: {line}" for line in lines),
                ]
            )
        )
    return {name: PathDistribution(folder / f"{name}-1.dist-info") for name in requires}


def test_only_what_is_asked_for_is_needed_by_extras_and_markers(tmp_path: Path) -> None:
    pytest.importorskip("packaging")
    there = installed(
        tmp_path,
        web=["core", "fast; extra == 'speed'", "old; python_version < '3'"],
        core=[],
        fast=["core", "web[speed]"],
        pytest=["core"],
    )
    assert sbom.needs(["web>=1"], there) == {"": {"web"}, "web": {"core"}}
    assert sbom.needs(["Web[speed]"], there) == {
        "": {"web"},
        "web": {"core", "fast"},
        "fast": {"core", "web"},
    }
    with pytest.raises(SystemExit, match="web needs core"):
        sbom.needs(["web"], {"web": there["web"]})


@pytest.mark.parametrize(
    ("lock", "wrong"),
    [
        ("web==1 \\\n    --hash=sha256:0\ncore==1\npytest==1", []),
        ("web==1\ncore==2", ["core 1: 2 locked"]),
        ("web==1", ["core 1: not locked"]),
    ],
)
def test_what_is_not_as_locked_is_named(lock: str, wrong: list[str]) -> None:
    bom = {"components": [{"name": "Web", "version": "1"}, {"name": "core", "version": "1"}]}
    assert sbom.differences(bom, {"": {"web"}, "web": {"core"}}, sbom.locked(lock)) == wrong
    assert (
        sbom.differences(bom, {"": {"web", "lost"}}, sbom.locked(f"{lock}\nlost==1"))[-1]
        == "lost: not in it"
    )


def test_the_sbom_of_an_environment_has_its_locked_packages_and_nothing_of_the_tests(
    tmp_path: Path,
) -> None:
    """A whole SBOM by cyclonedx-bom, valid by its schema.

    Its project needs half of what is installed.
    """
    tools = found("EXTPROC_SUPPLY", "cyclonedx-bom")
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci/lock.txt").write_text((ROOT / ".ci/supply.txt").read_text())
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "ours"\nversion = "7"\ndependencies = ["referencing"]\n'
    )
    python, target = tools / "bin/python", tmp_path / "sbom.json"
    subprocess.run(
        [python, ROOT / "tools/sbom", "--folder", tmp_path, "--of", python, "--output", target],
        check=True,
    )
    bom = json.loads(target.read_text())
    assert {part["name"] for part in bom["components"]} == {
        "attrs",
        "referencing",
        "rpds-py",
        "typing_extensions",
    }
    assert bom["metadata"]["component"]["name"] == "ours" and "http" not in json.dumps(
        bom["components"]
    )


# ---- known vulnerabilities

REPORT = {
    "name": "web",
    "version": "1",
    "vulns": [{"id": "GHSA-1", "fix_versions": ["2"], "aliases": [], "description": "x"}],
}
CLEAN = {"name": "core", "version": "1", "vulns": []}
SKIPPED = {
    "name": "core",
    "skip_reason": "Dependency not found on PyPI and could not be audited: core (1)",
}
REFUSED = (
    "Traceback ...\nrequests.exceptions.ConnectionError: HTTPSConnectionPool(host='api', "
    "port=443): Max retries exceeded"
)


@pytest.mark.parametrize(
    ("code", "packages", "stderr", "exit_code", "expected"),
    [
        (0, [CLEAN, {**REPORT, "vulns": []}], "", NONE, "none known in 2"),
        (1, [CLEAN, REPORT], "", FOUND, "web 1: GHSA-1, fixed in 2"),
        (0, [SKIPPED, REPORT], "", FOUND, "GHSA-1"),
        (0, [SKIPPED, {**REPORT, "vulns": []}], "", UNCHECKED, "for 1 of 2"),
        (0, [CLEAN], "", UNCHECKED, "for 1 of 2"),
        (1, None, REFUSED, UNCHECKED, "no advisory source (ConnectionError)"),
        (
            1,
            None,
            "requests.exceptions.JSONDecodeError: Expecting value",
            UNCHECKED,
            "(JSONDecodeError)",
        ),
        (1, None, "pip_audit._service.interface.ServiceError", UNCHECKED, "(ServiceError)"),
        (
            1,
            None,
            "ERROR:pip_audit._cli:Could not connect to OSV's vulnerability feed",
            UNCHECKED,
            "(Could not connect)",
        ),
        (1, None, "ERROR:pip_audit._cli:invalid requirements", BROKEN, "invalid requirements"),
        (2, None, "error: unrecognized arguments", BROKEN, "unrecognized"),
    ],
)
def test_only_an_answer_for_every_package_says_that_there_is_none(
    code: int, packages: list[dict[str, object]] | None, stderr: str, exit_code: int, expected: str
) -> None:
    stdout = json.dumps({"dependencies": packages, "fixes": []}) if packages is not None else ""
    got = verdict(code, stdout, stderr, {"web", "core"})
    assert (got.exit_code, expected in "\n".join(got.lines)) == (exit_code, True), got


@contextmanager
def advisories(vulnerable: str) -> Iterator[str]:
    """A server with OSV's interface (POST /v1/query).

    It knows one vulnerability, of that package.
    """

    class Osv(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known = {
                "id": "GHSA-test",
                "summary": "lets anybody in",
                "affected": [{"package": asked["package"]}],
            }
            body = json.dumps(
                {"vulns": [known]} if asked["package"]["name"] == vulnerable else {}
            ).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_the_audit_fails_on_a_known_vulnerability_passes_without_one_and_says_when_nobody_could_be_asked(
    tmp_path: Path,
) -> None:
    found("EXTPROC_SUPPLY", "pip-audit")
    lock = tmp_path / "lock.txt"
    lock.write_text(f"core==1 --hash=sha256:{HASH}\nweb==1 --hash=sha256:{HASH}\n")

    def audit(source: str) -> tuple[int, str]:
        command = [sys.executable, ROOT / "tools/audit", "--source", source, lock]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        return done.returncode, done.stdout

    with advisories("web") as source:
        assert audit(source) == (
            FOUND,
            "known vulnerabilities: 1\nweb 1: GHSA-test, fixed in no version\n",
        )
    with advisories("other") as source:
        assert audit(source) == (NONE, "none known in 2 packages\n")
    assert audit(f"http://127.0.0.1:{free_port()}/v1/query") == (
        UNCHECKED,
        "not checked: no advisory source (ConnectionError)\n",
    )
