"""`extproc health`: asks the processor on this machine whether it is ready, for the health check of
a container and for scripts.

It reads the settings for the address `admin`, which may be another than the default, or a unix
socket. Exit codes: 0 it is; 1 it is not, does not answer, or the settings cannot be used.
"""

import argparse

import httpx

from extproc.addresses import http_client, reachable
from extproc.cli.output import fail, field, write
from extproc.settings import Settings

TIMEOUT = 5.0  # seconds


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Asks, prints what is missing, and returns the exit code."""
    response = _ask(settings, "/livez" if parsed.live else "/readyz")
    if response.status_code == 200:
        write("live" if parsed.live else "ready")
        return 0
    for line in _missing(response):
        write(field(line))
    return 1


def _ask(settings: Settings, path: str) -> httpx.Response:
    """The answer of the admin listener. Ends the command if there is none."""
    try:
        with http_client(str(reachable(settings.admin)), TIMEOUT) as client:
            return client.get(path)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        kind = type(error).__name__
        fail(f"admin: {settings.admin} does not answer ({kind}); is the processor running?")


def _missing(response: httpx.Response) -> list[str]:
    """The parts that are not ready, a line each."""
    try:
        return [f"{entry['part']}: {entry['reason']}" for entry in response.json()["missing"]]
    except (ValueError, KeyError, TypeError):
        return [f"the answer is {response.status_code}, and not the processor's"]
