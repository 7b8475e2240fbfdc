"""Checks whether each application answers at its upstream, as far as a connection shows it."""

import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from extproc.checks.failures import speaks_no_tls
from extproc.checks.findings import Finding, ok, warning
from extproc.settings import Settings
from extproc.settings.files import client_context

_AT_A_TIME = 16


@dataclass(frozen=True, slots=True)
class _Upstream:
    """One address that Envoy connects to, with the authorities that it is verified with."""

    url: str
    ca_file: Path | None


def check_upstreams(settings: Settings) -> Iterator[Finding]:
    """A finding for each application: whether its upstream can be connected to.

    There is none where upstream_ca_file cannot be used: `certificates` has it.
    """
    upstreams = {
        name: _Upstream(application.upstream, application.upstream_ca_file)
        for name, application in settings.applications.items()
    }
    contexts = _contexts(upstreams.values())
    timeout = settings.timeouts.connect
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = pool.map(lambda one: _problem(one[0].url, one[1], timeout), contexts.items())
        problems = dict(zip(contexts, found, strict=True))
    for name, upstream in upstreams.items():
        if upstream not in problems:
            continue
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


def _contexts(upstreams: Iterable[_Upstream]) -> dict[_Upstream, ssl.SSLContext | None]:
    """Each upstream once, with the context of its handshake or None for http. An upstream whose
    authorities cannot be used is left out.
    """
    contexts: dict[_Upstream, ssl.SSLContext | None] = {}
    for upstream in dict.fromkeys(upstreams):
        https = urlsplit(upstream.url).scheme == "https"
        try:
            contexts[upstream] = client_context(upstream.ca_file) if https else None
        except OSError:
            continue
    return contexts


def _problem(url: str, context: ssl.SSLContext | None, timeout: float) -> str | None:
    """Why no connection can be made; None if one can.

    Args:
        url: the upstream.
        context: for the handshake; None for http.
        timeout: seconds.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout) as connection:
            if context is not None:
                with context.wrap_socket(connection, server_hostname=host):
                    pass
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
