"""Checks what answers at Envoy's listeners: Envoy, another program, or nothing.

One request for each application, to an endpoint that does not exist, reaches the processor through
Envoy. Its answer tells whether the two were configured from the same settings, without Envoy's
admin interface.
"""

import errno
import json
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import httpx

from extproc.addresses import Address, reachable
from extproc.checks.failures import failure
from extproc.checks.findings import Finding, error, ok, skipped, warning
from extproc.core.endpoints import url_of
from extproc.settings import Settings

_PATIENCE = 5.0  # seconds for one answer
_LIMIT = 64 << 10  # bytes of an answer that are read
_NO_ENDPOINT = "check"
_ELSEWHERE = "(if Envoy runs on another machine, ignore this)"

Answer = Literal["agrees", "differs", "unlisted", "no processor", "refused", "unknown"]


@dataclass(frozen=True, slots=True)
class _Response:
    """The parts of a response that tell whose it is."""

    status: int
    headers: httpx.Headers
    document: dict[str, object]


def check_gateway(settings: Settings) -> Iterator[Finding]:
    """Findings about gateway.listen and gateway.redirect_listen on this machine."""
    gateway = settings.gateway
    yield from _at(settings, "gateway.listen", gateway.listen)
    if gateway.redirect_listen is not None:
        yield from _at(settings, "gateway.redirect_listen", gateway.redirect_listen)


def _at(settings: Settings, part: str, listen: Address) -> Iterator[Finding]:
    """Findings about one listener.

    Args:
        settings: the settings.
        part: the key of its address.
        listen: the address.
    """
    if listen.port == 0:
        return
    try:
        with socket.create_connection((reachable(listen).host, listen.port), _PATIENCE):
            pass
    except (OSError, UnicodeError):
        yield _nobody(part, listen)
        return
    if part == "gateway.listen":
        yield from _applications(settings)
    else:
        yield from _redirect(settings, listen)


def _nobody(part: str, listen: Address) -> Finding:
    """Why nothing accepts connections there: the address is taken in another way, is none of this
    machine, or is free.
    """
    match _bind_error(listen):
        case errno.EADDRINUSE:
            return _taken(part, listen, "is taken by a program that accepts no connection")
        case errno.EADDRNOTAVAIL:
            return warning(
                part,
                f"no network interface of this machine has the address {listen.host}, so Envoy "
                "cannot listen there",
                f"correct it; 0.0.0.0 is every address {_ELSEWHERE}",
            )
        case _:
            return skipped(
                part, f"nothing listens at {listen} yet", "start Envoy, and run it again"
            )


def _bind_error(listen: Address) -> int | None:
    """The number of the error with which the address is refused to this user; None if it is free.

    It is free again afterwards; no connection is accepted meanwhile.
    """
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    with socket.socket(family) as probe:
        # As Envoy: connections that linger do not keep an address.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except (OSError, UnicodeError) as problem:
            return problem.errno if isinstance(problem, OSError) else None
    return None


def _taken(part: str, listen: Address, how: str) -> Finding:
    return warning(
        part,
        f"{listen} {how}, and not by Envoy with the configuration of these settings",
        f"end that program, or choose another port for {part}: Envoy would not start, or share "
        f"the port {_ELSEWHERE}",
    )


def _redirect(settings: Settings, listen: Address) -> Iterator[Finding]:
    part = "gateway.redirect_listen"
    host = urlsplit(settings.gateway.url).netloc
    try:
        response = _get(f"http://{reachable(listen)}/", host)
    except httpx.HTTPError as problem:
        yield _taken(part, listen, f"is taken by a program ({failure(problem)})")
        return
    location = response.headers.get("location", "")
    if response.status in (301, 308) and location.startswith("https://"):
        yield ok(part, f"{listen} redirects to https")
    else:
        yield _taken(part, listen, f"is taken by a program that answers {response.status}")


# -- what Envoy and the processor answer together --------------------------------------------------


def _applications(settings: Settings) -> Iterator[Finding]:
    listen = settings.gateway.listen
    if not settings.protected:
        yield ok("gateway.listen", f"{listen} accepts connections")
        return
    answers: dict[Answer, list[str]] = {}
    for name in settings.protected:
        try:
            response = _ask(settings, name)
        except httpx.HTTPError as problem:
            yield _taken("gateway.listen", listen, f"is taken by a program ({failure(problem)})")
            return
        answer = _judge(response)
        if answer == "unknown" and not answers:
            how = f"is taken by a program that answers {response.status}"
            yield _taken("gateway.listen", listen, how)
            return
        answers.setdefault(answer, []).append(name)
    for answer, names in answers.items():
        yield _finding(answer, ", ".join(names))


def _finding(answer: Answer, names: str) -> Finding:
    """What an answer means.

    Args:
        answer: as `_judge` has it.
        names: the applications with this answer.
    """
    again = "generate its configuration again (`extproc envoy`) and restart Envoy with it"
    match answer:
        case "agrees":
            return ok("gateway.listen", f"Envoy's routes and the processor agree about {names}")
        case "differs":
            return error(
                "gateway.listen",
                f"Envoy and the processor were configured from different settings of {names}: "
                "each of their requests is answered 421",
                f"{again}; restart the processor if it still has the older settings",
            )
        case "unlisted":
            return error(
                "gateway.listen",
                f"the running Envoy does not know {names} at its address",
                again,
            )
        case "no processor":
            return error(
                "listen",
                f"Envoy does not reach the processor, so users of {names} get 503",
                "start it with `extproc serve`; compare listen and gateway.processors with the "
                "address where it runs",
            )
        case "refused":
            return skipped(
                "gateway.listen",
                f"{names}: Envoy refused the request itself, for example by its rate limit",
                "run the check again",
            )
        case _:
            return skipped("gateway.listen", f"{names}: the answer is none that is known", "")


def _judge(response: _Response) -> Answer:
    """Who answered, and what it says about the configuration."""
    reason = response.document.get("reason")
    if reason == "misdirected_request":
        return "differs"
    if isinstance(reason, str) and "x-trace-id" in response.headers:
        # Any other refusal is of a processor that takes Envoy's route for its own.
        return "agrees"
    if "request_id" in response.document:
        # An answer of Envoy's own (envoyconfig/local_reply.py).
        match response.status:
            case 404 | 421:
                return "unlisted"
            case 500 | 503 | 504:
                return "no processor"
        return "refused"
    return "unknown"


def _ask(settings: Settings, name: str) -> _Response:
    """The answer to an endpoint that does not exist. Raises httpx.HTTPError."""
    public = urlsplit(url_of(settings.url(name), _NO_ENDPOINT))
    scheme = "https" if settings.gateway.tls is not None else "http"
    return _get(f"{scheme}://{reachable(settings.gateway.listen)}{public.path}", public.netloc)


def _get(url: str, host: str) -> _Response:
    """The answer of a listener of this machine. Raises httpx.HTTPError.

    Args:
        url: with the listener's address.
        host: as a browser would send it.
    """
    # Nothing secret is sent, and certificates.py has the findings about the certificate.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    headers = {"host": host, "accept": "application/json", "accept-encoding": "identity"}
    extensions = {"sni_hostname": urlsplit(f"//{host}").hostname or ""}
    until = time.monotonic() + _PATIENCE
    with (
        httpx.Client(verify=context, trust_env=False, timeout=_PATIENCE) as client,
        client.stream("GET", url, headers=headers, extensions=extensions) as response,
    ):
        body = b""
        for chunk in response.iter_raw():
            body += chunk
            # It may be any program.
            if len(body) > _LIMIT or time.monotonic() > until:
                break
        return _Response(response.status_code, response.headers, _document(body))


def _document(body: bytes) -> dict[str, object]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
