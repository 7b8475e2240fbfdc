"""`extproc sessions`: lists and ends sessions through the admin listener of the processor that runs on this machine."""

import argparse
import sys
import time

import httpx

from extproc.addresses import Address
from extproc.admin_sessions import HEADER
from extproc.settings import Settings

TIMEOUT = 30.0
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where the listener is on all addresses, it is here as well


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Gives the exit code."""
    query = {"user": parsed.user, "sid": parsed.sid}
    wanted = {name: value for name, value in query.items() if value} or {"all": "1"}
    try:
        answer = httpx.request(
            "DELETE" if parsed.what == "end" else "GET",
            f"http://{_here(settings.admin)}/sessions",
            params=wanted,
            headers={HEADER: "1"},
            timeout=TIMEOUT,
            trust_env=False,
        )
        said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        sys.exit(
            f"extproc: admin: {settings.admin} does not answer ({type(error).__name__}); is the processor running?"
        )
    if answer.status_code != 200:
        sys.exit(f"extproc: {said.get('error', answer.status_code)}")
    if parsed.what == "end":
        print("ended" if said["ended"] is None else f"{said['ended']} ended")
        return 0
    for each in said["sessions"]:
        used = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(each["used"]))
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(each["created"]))
        print(
            f"{each['id']}  {each['application']}  {each['subject']}  sid {each['sid'] or '-'}  since {since}  used {used}"
            f"  {each['agent'] or '-'}  {each['address'] or '-'}"
        )
    return 0


def _here(admin: Address) -> Address:
    return Address(host=_ANY.get(admin.host, admin.host), port=admin.port)
