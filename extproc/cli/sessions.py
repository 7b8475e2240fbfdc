"""`extproc sessions`: lists, shows and ends sessions through the admin listener of the processor
that runs on this machine.
"""

import argparse
import time
from collections.abc import Mapping
from typing import Any

import httpx

from extproc.addresses import http_client, reachable
from extproc.admin.sessions import HEADER
from extproc.cli.output import fail, field, write, write_json
from extproc.settings import Settings

TIMEOUT = 30.0  # seconds


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Asks the processor, prints its answer, and returns the exit code."""
    query = {"user": parsed.user, "sid": parsed.sid, "id": parsed.id}
    selected = {name: value for name, value in query.items() if value} or {"all": "1"}
    answer = _ask(settings, "DELETE" if parsed.what == "end" else "GET", selected)
    if parsed.what == "show" and parsed.id and not answer["sessions"]:
        fail("there is no such session, or it has ended")
    if parsed.json:
        write_json(answer)
    elif parsed.what == "end":
        write("ended" if answer["ended"] is None else f"{answer['ended']} ended")
    elif parsed.what == "show":
        _write_all([_facts(session) for session in answer["sessions"]], separator="\n\n")
    else:
        _write_all([_line(session) for session in answer["sessions"]], separator="\n")
    return 0


def _ask(settings: Settings, method: str, selected: dict[str, str]) -> Any:
    """The answer of the processor as JSON. Ends the command if there is none."""
    try:
        with http_client(str(reachable(settings.admin)), TIMEOUT) as client:
            response = client.request(method, "/sessions", params=selected, headers={HEADER: "1"})
        answer = response.json()
    except (httpx.HTTPError, ValueError) as error:
        kind = type(error).__name__
        fail(f"admin: {settings.admin} does not answer ({kind}); is the processor running?")
    if response.status_code != 200:
        fail(str(answer.get("error", response.status_code)))
    return answer


def _write_all(texts: list[str], separator: str) -> None:
    if texts:
        write(separator.join(texts))


def _line(session: Mapping[str, Any]) -> str:
    """One session as a line, which begins with what other commands take as its id."""
    return "  ".join(
        field(text)
        for text in (
            session["id"][:16],
            session["application"],
            session["subject"],
            f"sid {session['sid'] or '-'}",
            f"since {_time(session['created'])}",
            f"used {_time(session['used'])}",
            session["agent"] or "-",
            session["address"] or "-",
        )
    )


def _facts(session: Mapping[str, Any]) -> str:
    """Everything that is known of a session without its cookie, a line for each fact."""
    facts = {
        "id": session["id"],
        "application": session["application"],
        "provider": session["provider"] or "-",
        "issuer": session["issuer"],
        "user": session["subject"],
        "sid": session["sid"] or "-",
        "device": session["agent"] or "-",
        "address": session["address"] or "-",
        "since": _time(session["created"]),
        "last seen": _time(session["used"]),
        "expires": _time(session["expires"]),
        "or unused": _time(session["idle"]),
    }
    return "\n".join(f"{name:12} {field(value)}" for name, value in facts.items())


def _time(seconds: int) -> str:
    """UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
