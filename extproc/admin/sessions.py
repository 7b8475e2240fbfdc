"""`/sessions` of the admin listener: what `extproc sessions` asks for. Every request of it is in
the log, with who asked.

It changes something, so more is wanted than for a page to look at: the asker is on this machine,
whatever address the listener has, and sends a header that no page of a browser can send here (no
CORS answer of ours would let it).
"""

import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from extproc import telemetry
from extproc.admin.operators import NotPossible, SessionAdmin, SessionSelector
from extproc.core.errors import StoreUnavailable

HEADER = "x-extproc-operator"
ID = r"[0-9a-f]{16,64}"


def sessions(operators: SessionAdmin | None) -> Callable[[Request], Awaitable[Response]]:
    """GET lists, DELETE ends: ?user=SUB, ?sid=SID, ?id=ID, or for all ?all=1."""

    async def endpoint(request: Request) -> Response:
        if operators is None:
            return _error(404, "sessions are not managed here")
        if not _of_this_machine(request) or request.headers.get(HEADER) != "1":
            return _error(403, f"only for processes of this machine, with the header {HEADER}: 1")
        query = request.query_params
        wanted = SessionSelector(
            query.get("user") or None, query.get("sid") or None, query.get("id") or None
        )
        if (fault := _fault(wanted, everybody=query.get("all") == "1")) is not None:
            return _error(400, fault)
        try:
            return await (_end if request.method == "DELETE" else _list)(operators, wanted, request)
        except NotPossible as error:
            return _error(409, str(error))
        except StoreUnavailable as error:
            telemetry.log(logging.WARNING, "refused", reason=error.reason, detail=error.detail)
            return _error(503, "the store does not answer; its log line says why")

    return endpoint


def _fault(wanted: SessionSelector, *, everybody: bool) -> str | None:
    if (wanted == SessionSelector()) != everybody or (
        wanted.id is not None and wanted != SessionSelector(id=wanted.id)
    ):
        return "say user, sid, id, or all=1"
    if wanted.id is not None and not re.fullmatch(ID, wanted.id):
        return "an id is what `extproc sessions list` begins its lines with, or more of it, in hex"
    return None


async def _list(operators: SessionAdmin, wanted: SessionSelector, request: Request) -> Response:
    found = await operators.listed(wanted)
    _audit("sessions_listed", request, wanted, len(found))
    return JSONResponse({"sessions": [asdict(entry) for entry in found]})


async def _end(operators: SessionAdmin, wanted: SessionSelector, request: Request) -> Response:
    ended = await operators.end(wanted)
    _audit("sessions_ended", request, wanted, ended)
    return JSONResponse({"ended": ended})


def _audit(event: str, request: Request, wanted: SessionSelector, count: int | None) -> None:
    telemetry.log(logging.INFO, event, by=_address(request), wanted=str(wanted)[:400], count=count)


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else ""


def _of_this_machine(request: Request) -> bool:
    """Not through a proxy either: then its address is the proxy's."""
    if any(name in request.headers for name in ("x-forwarded-for", "forwarded", "origin")):
        return False
    try:
        return ipaddress.ip_address(_address(request)).is_loopback
    except ValueError:
        return False


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
