"""Checks whether each application answers at its upstream, as far as a connection shows it."""

import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from extproc.checks.failures import speaks_no_tls
from extproc.checks.findings import Finding, ok, warning
from extproc.settings import Settings

_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class _Upstream:
    """One address that Envoy connects to, with the authorities that it is verified with."""

    url: str
    ca_file: Path | None


def check_upstreams(settings: Settings) -> Iterator[Finding]:
    """A finding for each application: whether its upstream can be connected to."""
    upstreams = {
        name: _Upstream(application.upstream, application.upstream_ca_file)
        for name, application in settings.applications.items()
    }
    distinct = list(dict.fromkeys(upstreams.values()))
    timeout = settings.timeouts.connect
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        problems = dict(
            zip(distinct, pool.map(lambda one: _problem(one, timeout), distinct), strict=True)
        )
    for name, upstream in upstreams.items():
        problem = problems[upstream]
        part = f"applications.{name}.upstream"
        if problem is None:
            yield ok(part, f"{upstream.url} accepts connections")
        else:
            yield warning(
                part,
                f"{upstream.url} {problem}: users get 503",
                "start the application, or correct its host and port (if Envoy runs on another "
                "machine, ignore this)",
            )


def _problem(upstream: _Upstream, timeout: float) -> str | None:
    """Why no connection can be made; None if one can."""
    parts = urlsplit(upstream.url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout) as connection:
            if parts.scheme == "https":
                _handshake(connection, host, upstream.ca_file)
    except UnicodeError:
        return "has a name that cannot be looked up"
    except OSError as error:
        return _in_words(error)
    return None


def _in_words(error: OSError) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"has a certificate that cannot be verified ({error.verify_message})"
        case ssl.SSLError() if speaks_no_tls(error.reason or ""):
            return "speaks http, not TLS"
        case ssl.SSLError():
            return f"does not speak TLS as expected ({error.reason})"
        case TimeoutError():
            return "does not answer in time"
        case _:
            return f"cannot be connected to ({error.strerror or error})"


def _handshake(connection: socket.socket, host: str, ca_file: Path | None) -> None:
    context = ssl.create_default_context(cafile=ca_file)
    with context.wrap_socket(connection, server_hostname=host):
        pass
