"""`extproc sessions`: lists, shows and ends sessions through the admin listener of the processor
that runs on this machine.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import httpx

from extproc.addresses import reachable
from extproc.admin.sessions import HEADER
from extproc.settings import Settings

TIMEOUT = 30.0


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Gives the exit code."""
    query = {"user": parsed.user, "sid": parsed.sid, "id": parsed.id}
    wanted = {name: value for name, value in query.items() if value} or {"all": "1"}
    try:
        answer = httpx.request(
            "DELETE" if parsed.what == "end" else "GET",
            f"http://{reachable(settings.admin)}/sessions",
            params=wanted,
            headers={HEADER: "1"},
            timeout=TIMEOUT,
            trust_env=False,
        )
        said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        sys.exit(
            f"extproc: admin: {settings.admin} does not answer ({type(error).__name__}); is "
            "the processor running?"
        )
    if answer.status_code != 200:
        sys.exit(f"extproc: {said.get('error', answer.status_code)}")
    if parsed.what == "show" and parsed.id and not said["sessions"]:
        sys.exit("extproc: there is no such session, or it is over")
    if parsed.json:
        print(json.dumps(said, indent=2))
    elif parsed.what == "end":
        print("ended" if said["ended"] is None else f"{said['ended']} ended")
    else:
        texts = _shown if parsed.what == "show" else _line
        print(
            *map(texts, said["sessions"]),
            sep="\n\n" if parsed.what == "show" else "\n",
            end="\n" if said["sessions"] else "",
        )
    return 0


def _line(each: Mapping[str, Any]) -> str:
    return (
        f"{each['id'][:16]}  {each['application']}  {each['subject']}  sid "
        f"{each['sid'] or '-'}  since {_time(each['created'])}"
        f"  used {_time(each['used'])}  {each['agent'] or '-'}  {each['address'] or '-'}"
    )


def _shown(each: Mapping[str, Any]) -> str:
    """All that is known without the cookie."""
    facts = {
        "id": each["id"],
        "application": each["application"],
        "provider": each["provider"] or "-",
        "issuer": each["issuer"],
        "user": each["subject"],
        "sid": each["sid"] or "-",
        "device": each["agent"] or "-",
        "address": each["address"] or "-",
        "since": _time(each["created"]),
        "last seen": _time(each["used"]),
        "expires": _time(each["expires"]),
        "or unused": _time(each["idle"]),
    }
    return "\n".join(f"{name:12} {value}" for name, value in facts.items())


def _time(seconds: int) -> str:
    """UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
