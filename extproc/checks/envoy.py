"""Envoy as it runs, or as a file has it, against the configuration that the settings make."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml

from extproc.checks.envoy_diff import compare
from extproc.checks.findings import Finding, error, ok, warning
from extproc.envoyconfig.snapshot import NoConfiguration, generated, read
from extproc.settings import Settings

_PATIENCE = 10.0  # seconds


def check_file(settings: Settings, path: Path) -> Iterator[Finding]:
    """A bootstrap, or a config dump that somebody kept; YAML or JSON."""
    try:
        seen = read(yaml.safe_load(path.read_text()))
    except OSError as problem:
        yield error(
            str(path),
            problem.strerror or "cannot be read",
            "name a file with Envoy's configuration",
        )
    except UnicodeDecodeError:
        yield error(str(path), "is not UTF-8 text", "name a file with Envoy's configuration")
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        yield error(
            f"{path}{f':{mark.line + 1}' if mark else ''}",
            "is neither YAML nor JSON",
            "mend it: Envoy cannot read it either",
        )
    except NoConfiguration as problem:
        yield error(str(path), str(problem), "name a file with Envoy's configuration")
    else:
        yield from compare(settings, generated(settings), seen, str(path))


def check_running(settings: Settings, admin: str, *, asked_for: bool) -> Iterator[Finding]:
    """admin: Envoy's own, http://host:port. asked_for: that nothing answers is an error."""
    try:
        with httpx.Client(base_url=admin, trust_env=False, timeout=_PATIENCE) as client:
            answer = client.get("/config_dump")
            answer.raise_for_status()
            seen = read(answer.json())
            version = client.get("/server_info").json().get("version", "")
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        ValueError,
        AttributeError,
        NoConfiguration,
    ) as problem:
        what = f"{admin} does not answer as Envoy's admin does ({type(problem).__name__})"
        remedy = "start Envoy with the configuration of `extproc envoy`, or correct gateway.admin"
        yield (
            error("gateway.admin", what, remedy)
            if asked_for
            else warning("gateway.admin", what, remedy)
        )
        return
    yield ok(
        "gateway.admin",
        f"Envoy {version.split('/')[1] if version.count('/') > 1 else version} runs",
    )
    yield from compare(settings, generated(settings), seen, "running Envoy")
