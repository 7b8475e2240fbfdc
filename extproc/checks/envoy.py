"""Checks a running Envoy, or a file, against the configuration that the settings make."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import yaml

from extproc.addresses import http_client
from extproc.checks.envoy_diff import compare
from extproc.checks.findings import Finding, error, ok, warning
from extproc.envoyconfig.snapshot import EnvoySnapshot, NoConfiguration, generated, read
from extproc.settings import Settings
from extproc.settings.files import read_argument

_PATIENCE = 10.0  # seconds
_LIMIT = 64 << 20  # bytes of a configuration; one of 1000 applications has some 10 MB
_NAME_A_FILE = "name a file with Envoy's configuration"
# What a reader meets at a date such as 2020-13-45, at brackets without end, and where a list, a
# number or a mapping stands in place of something else.
_ODD_VALUES = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
_ODD = "has values that no Envoy configuration has"


def check_file(settings: Settings, path: Path) -> Iterator[Finding]:
    """Findings about a bootstrap or a saved config dump, YAML or JSON."""
    try:
        snapshot = read(yaml.safe_load(read_argument(path, _LIMIT).decode()))
    except OSError as problem:
        yield error(str(path), problem.strerror or "cannot be read", _NAME_A_FILE)
    except UnicodeDecodeError:
        yield error(str(path), "is not UTF-8 text", _NAME_A_FILE)
    except _ODD_VALUES:
        yield error(str(path), _ODD, _NAME_A_FILE)
    except yaml.YAMLError as problem:
        yield error(
            _place(path, problem),
            "is neither YAML nor JSON",
            "correct it: Envoy cannot read it either",
        )
    except NoConfiguration as problem:
        yield error(str(path), str(problem), _NAME_A_FILE)
    else:
        yield from _compared(settings, snapshot, str(path))


def _compared(settings: Settings, snapshot: EnvoySnapshot, source: str) -> Iterator[Finding]:
    """Findings of the comparison; one error for values that no Envoy configuration has."""
    try:
        found = list(compare(settings, generated(settings), snapshot, source))
    except _ODD_VALUES:
        yield error(source, _ODD, _NAME_A_FILE)
        return
    yield from found


def _place(path: Path, problem: yaml.YAMLError) -> str:
    if isinstance(problem, yaml.MarkedYAMLError) and problem.problem_mark is not None:
        return f"{path}:{problem.problem_mark.line + 1}"
    return str(path)


def check_running(settings: Settings, admin: str, *, must_answer: bool) -> Iterator[Finding]:
    """Findings about a running Envoy.

    Args:
        settings: the settings that its configuration should be generated from.
        admin: the address of Envoy's admin interface: host:port, unix:PATH, or a URL.
        must_answer: no answer is an error, and not only a warning.
    """
    try:
        with http_client(admin, _PATIENCE) as client:
            dump = client.get("/config_dump")
            dump.raise_for_status()
            snapshot = read(dump.json())
            version = str(client.get("/server_info").json().get("version") or "")
    except (
        httpx.HTTPError,
        httpx.InvalidURL,
        *_ODD_VALUES,
        NoConfiguration,
    ) as problem:
        report = error if must_answer else warning
        yield report(
            "gateway.admin",
            f"{admin} does not answer as Envoy's admin interface does ({type(problem).__name__})",
            "start Envoy with the configuration of `extproc envoy`, or correct gateway.admin",
        )
        return
    yield ok("gateway.admin", f"Envoy {_short_version(version)} runs")
    yield from _compared(settings, snapshot, "running Envoy")


def _short_version(version: str) -> str:
    """1.36.4 of Envoy's own COMMIT/1.36.4/Clean/RELEASE/BoringSSL; any other text as it is."""
    parts = version.split("/")
    return parts[1] if len(parts) > 2 else version
