"""What Envoy's access log says about a request, by its request id.

An answer that Envoy made itself has a request id and, because few requests are sampled, seldom a
trace. Envoy's access log has a line for each.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Bytes at the end of the log that are searched.
SEARCHED = 256 << 20
_BLOCK = 1 << 20
# The beginning of Envoy's response code details, in words, and what to do.
_DETAILS = {
    "upstream_reset_before_response_started": (
        "the application's server refused the connection or closed it",
        "see that it runs, and that upstream names its address",
    ),
    "upstream_response_timeout": ("the application's server took too long", ""),
    "no_healthy_upstream": (
        "the application's server has no address",
        "see that the name in upstream resolves where Envoy runs",
    ),
    "ext_proc_error": (
        "the processor did not answer",
        "see that `extproc serve` runs, and its log; `extproc check` tells why Envoy cannot reach "
        "it",
    ),
    "rbac_access_denied": (
        "the gate refused it: neither an assertion nor the processor let it pass; where its rule "
        "has networks, its address is in none of them; where its rule has client_certificate, the "
        "client showed none of these",
        "compare the address with networks of the rule, and gateway.trusted_hops, and the client's "
        "certificate with client_certificate; run `extproc "
        "check` with gateway.admin set: Envoy may have another configuration",
    ),
    "local_rate_limited": (
        "its address made too many requests (gateway.rate_limit)",
        "raise gateway.rate_limit, exempt the network, or set gateway.trusted_hops",
    ),
}


@dataclass(frozen=True, slots=True)
class LoggedRequest:
    """A request as the access log has it; `what` is why Envoy answered so, `remedy` may be ''."""

    request: str
    answer: str
    what: str
    remedy: str
    trace_id: str


def logged_request(path: Path, request_id: str) -> LoggedRequest | None:
    """The newest request of this id in the access log, or None.

    Args:
        path: the file.
        request_id: 32 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    parts = (request_id[:8], request_id[8:12], request_id[12:16], request_id[16:20])
    wanted = "-".join((*parts, request_id[20:])).encode()
    for line in _lines_from_the_end(path):
        if wanted not in line:
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and str(entry.get("request_id")).encode() == wanted:
            return _request(entry)
    return None


def _lines_from_the_end(path: Path) -> Iterator[bytes]:
    """The lines of a regular file, the last one first."""
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        end, rest = max(position - SEARCHED, 0), b""
        while position > end:
            size = min(_BLOCK, position - end)
            position -= size
            file.seek(position)
            rest, *lines = (file.read(size) + rest).split(b"\n")
            yield from reversed(lines)
            # No line of Envoy's is so long, and a file without lines must not cost more.
            rest = rest if len(rest) <= _BLOCK else b""
        yield rest


def _request(entry: Mapping[str, Any]) -> LoggedRequest:
    details, route = str(entry.get("details") or ""), str(entry.get("route") or "")
    what, remedy = f"Envoy's response code details: {details}", ""
    if details == "direct_response":
        what = f"Envoy's route {route} refuses it"
        remedy = "`extproc explain URL` names the rule, and the setting that lifts it"
    for beginning, words in _DETAILS.items():
        if details.startswith(beginning):
            what, remedy = words
    application = str(entry.get("application") or "")
    where = f", application {application}" if application and application != "-" else ""
    return LoggedRequest(
        request=f"{entry.get('method')} {entry.get('authority')}{entry.get('path')}{where}",
        answer=f"{entry.get('status')} at {entry.get('time')}, response flags "
        f"{entry.get('flags') or '-'}",
        what=what,
        remedy=remedy,
        trace_id=str(entry.get("trace_id") or ""),
    )
