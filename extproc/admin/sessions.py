"""`/sessions` of the admin listener, for the command `extproc sessions`. Each request is logged,
with the client's address.

It ends sessions, so it demands more than the pages that only show something: the client is on this
machine, whatever address the listener has (every client of a unix socket is), and sends a header
that no page in a browser can send here, because no response of this listener allows it (CORS).
"""

import ipaddress
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from extproc import telemetry
from extproc.admin.session_admin import NotPossible, SessionAdmin, SessionSelector
from extproc.core.errors import StoreUnavailable

HEADER = "x-extproc-operator"
ID = r"[0-9a-f]{16,64}"
# Characters of a selector in the log.
_LOGGED = 400


def sessions(
    admin: SessionAdmin | None, unix_socket: bool = False
) -> Callable[[Request], Awaitable[Response]]:
    """Make the endpoint: GET lists, DELETE ends; ?user=SUB, ?sid=SID, ?id=ID, or for all ?all=1.

    Args:
        admin: lists and ends sessions; without it the endpoint responds with 404.
        unix_socket: the listener is a unix socket, so its clients have no address.
    """

    async def endpoint(request: Request) -> Response:
        if admin is None:
            return _error(404, "sessions are not managed here")
        if not _of_this_machine(request, unix_socket) or request.headers.get(HEADER) != "1":
            return _error(403, f"only for processes of this machine, with the header {HEADER}: 1")
        query = request.query_params
        selector = SessionSelector(
            query.get("user") or None, query.get("sid") or None, query.get("id") or None
        )
        fault = _fault(selector, everything=query.get("all") == "1")
        if fault is not None:
            return _error(400, fault)
        act = _end if request.method == "DELETE" else _list
        try:
            return await act(admin, selector, request)
        except NotPossible as error:
            return _error(409, str(error))
        except StoreUnavailable as error:
            telemetry.log(logging.WARNING, "refused", reason=error.reason, detail=error.detail)
            return _error(503, "the store does not answer; the reason is in the processor's log")

    return endpoint


def _fault(selector: SessionSelector, *, everything: bool) -> str | None:
    """Explain what is wrong with a selector; None if it can be used.

    Only `all=1` selects all sessions, and an id goes with nothing else.
    """
    contradictory = (selector == SessionSelector()) != everything
    if contradictory or (selector.id is not None and selector != SessionSelector(id=selector.id)):
        return "give user, sid, id, or all=1"
    if selector.id is not None and not re.fullmatch(ID, selector.id):
        return "an id is what `extproc sessions list` begins its lines with, or more of it, in hex"
    return None


async def _list(admin: SessionAdmin, selector: SessionSelector, request: Request) -> Response:
    summaries = await admin.listed(selector)
    _audit("sessions_listed", request, selector, len(summaries))
    return JSONResponse({"sessions": [asdict(summary) for summary in summaries]})


async def _end(admin: SessionAdmin, selector: SessionSelector, request: Request) -> Response:
    ended = await admin.end(selector)
    _audit("sessions_ended", request, selector, ended)
    return JSONResponse({"ended": ended})


def _audit(event: str, request: Request, selector: SessionSelector, count: int | None) -> None:
    wanted = str(selector)[:_LOGGED]
    telemetry.log(logging.INFO, event, by=_address(request), wanted=wanted, count=count)


def _address(request: Request) -> str:
    return request.client.host if request.client is not None else "unix socket"


def _of_this_machine(request: Request, unix_socket: bool) -> bool:
    """Whether the client is on this machine, and not a proxy here for a client elsewhere."""
    if any(name in request.headers for name in ("x-forwarded-for", "forwarded", "origin")):
        return False
    if unix_socket:
        return True
    try:
        return ipaddress.ip_address(_address(request)).is_loopback
    except ValueError:
        return False


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status)
