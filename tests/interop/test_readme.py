"""The steps of the README, typed as they are written: from a clone to a login."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from harness.browser import WebUser
from harness.echo import Echo
from harness.gateway import ROOT
from harness.oidc_provider import OidcProvider
from harness.ports import free_ports
from harness.processes import Process
from harness.providers import SECRET

pytestmark = pytest.mark.heavy

SECTION = re.compile(r"^## Put it in front of your application\n(.*?)^## ", re.S | re.M)
# A numbered step's commands are indented by seven columns.
COMMAND = re.compile(r"^ {7}(.*)$", re.M)


def steps(**changes: str) -> str:
    """The commands of the numbered steps, with what differs from machine to machine replaced."""
    section = SECTION.search((ROOT / "README.md").read_text())
    assert section is not None
    script = "\n".join(COMMAND.findall(section[1]))
    for written, real in changes.items():
        assert written in script, f"the README no longer has {written}"
        script = script.replace(written, real)
    return script


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The files of this tree that git knows or would take, as a clone has them."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    place = tmp_path / "clone"
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes((ROOT / name).read_bytes())
    return place


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[OidcProvider]:
    with OidcProvider(direct=True) as running:
        yield running


def test_the_steps_lead_from_a_clone_to_a_login(
    clone: Path, provider: OidcProvider, tmp_path: Path
) -> None:
    port = free_ports(3)
    url = f"http://localhost:{port}/"
    provider.run(tmp_path, ISSUER=provider.address, REDIRECTS=f"{url}oauth2/callback")
    with Echo() as application, WebUser() as user:
        script = steps(
            **{
                "https://login.example.com/realms/demo": provider.address,
                "your client secret": SECRET,
                ":8080": f":{port}",
                ":9600": f":{application.port}",
                # The ports of the processor are no part of the README; others may hold them here.
                "secret: ${EXTPROC_SECRET}": "secret: ${EXTPROC_SECRET}\n"
                f"listen: 127.0.0.1:{port + 1}\nadmin: 127.0.0.1:{port + 2}",
            }
        )
        # The virtual environment that runs the tests must not help.
        path = os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part
        )
        shell = Process(
            "the README",
            ["bash", "-euc", f"{script}\necho all typed\nwait"],
            log=tmp_path / "readme.log",
            env={
                "PATH": path,
                "VIRTUAL_ENV": "",
                "PYTHONPATH": "",
            },
            cwd=clone,
        )
        try:
            shell.wait_ready(lambda: signs_in_at(url), 400)
            page = user.go(url).json()
            assert dict(page["headers"])["x-auth-sub"] == "alice", shell.tail()
            printed = shell.output()
            assert f"{url}oauth2/callback" in printed and "all typed" in printed
            assert "Traceback" not in printed
        finally:
            shell.stop(5)


def signs_in_at(url: str) -> bool:
    """Whether the gateway is up, and would send a browser to the provider."""
    headers = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    try:
        return httpx.get(url, headers=headers, trust_env=False, timeout=30).status_code == 303
    except httpx.HTTPError:
        return False
