"""The admin listener: probes, metrics, the public keys of the assertion, sessions, and the last
traces. Loopback by default.

Nothing here changes anything but the spans that `POST /v1/traces` takes (admin/traces.py) and
`/sessions` (admin/sessions.py), and no answer may be kept or guessed at. The traces are readable by
whoever reaches the port, so a page of another origin must not: a name that its owner can point at
127.0.0.1 (DNS rebinding) is refused as Host on the trace pages, and spans are not taken from a
browser at all.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from extproc.admin.operators import SessionAdmin
from extproc.admin.sessions import sessions
from extproc.admin.traces import export_to, list_of, one_of
from extproc.metrics.exposition import Page, page
from extproc.traces import TraceStore

Readiness = Callable[[], Awaitable[tuple[tuple[str, str], ...]]]
Gauges = Callable[[], Awaitable[tuple[tuple[str, int], ...]]]
Exposition = Callable[[str], Awaitable[Page]]
Endpoint = Callable[[Request], Awaitable[Response]]

HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


async def _no_gauges() -> tuple[tuple[str, int], ...]:
    return ()


async def _no_metrics(accept: str) -> Page:
    return page((), accept)


async def _to_traces(_: Request) -> Response:
    return RedirectResponse("/traces", 303)


def _for_machines(
    readiness: Readiness, jwks: str, gauges: Gauges, metrics: Exposition
) -> list[Route]:
    """What probes, Envoy and Prometheus ask for, whatever name they ask by."""

    async def livez(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def readyz(_: Request) -> Response:
        missing = await readiness()
        if not missing:
            return JSONResponse({"ready": True})
        faults = [{"part": part, "reason": reason} for part, reason in missing]
        return JSONResponse({"ready": False, "missing": faults}, 503)

    async def keys(_: Request) -> Response:
        return Response(jwks, media_type="application/json")

    async def in_hand(_: Request) -> Response:
        return JSONResponse(dict(await gauges()))

    async def measured(request: Request) -> Response:
        found = await metrics(request.headers.get("accept", ""))
        return Response(found.body, headers={"content-type": found.content_type})

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/gauges", in_hand),
        Route("/metrics", measured),
        Route("/.well-known/jwks.json", keys),
    ]


def application(
    *,
    readiness: Readiness,
    jwks: str,
    traces: TraceStore,
    hosts: tuple[str, ...] = (),
    gauges: Gauges = _no_gauges,
    metrics: Exposition = _no_metrics,
    operators: SessionAdmin | None = None,
) -> Starlette:
    """The admin application.

    `readiness` gives what is not ready, as (part, reason), and is asked at each probe; `jwks` is
    the key set as JSON; `gauges` gives what is in hand now, as (name, count); `metrics` gives what
    Prometheus reads, by the Accept header; `hosts` are names, besides addresses and names that no
    stranger's DNS can have, by which people reach the traces.
    """

    routes = [
        *_for_machines(readiness, jwks, gauges, metrics),
        Route("/", _known_hosts(_to_traces, hosts)),
        Route("/traces", _known_hosts(list_of(traces), hosts)),
        Route("/traces.json", _known_hosts(list_of(traces), hosts)),
        Route("/traces/{trace_id}", _known_hosts(one_of(traces), hosts)),
        Route("/v1/traces", export_to(traces), methods=["POST"]),
        Route("/sessions", _known_hosts(sessions(operators), hosts), methods=["GET", "DELETE"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(_Headers)])


def known_host(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether a Host header is none that a stranger's DNS could have: an address, a name without
    dots, one of ours.
    """
    name = re.sub(r":\d*$", "", host.strip().lower()).removesuffix(".")
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    if name in hosts or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(re.fullmatch(r"[a-z0-9_-]+", name))
    return True


def _known_hosts(endpoint: Endpoint, hosts: tuple[str, ...]) -> Endpoint:
    async def checked(request: Request) -> Response:
        if not known_host(request.headers.get("host", ""), hosts):
            return PlainTextResponse("This host is not served here.\n", 421)
        return await endpoint(request)

    return checked


class _Headers:
    """Puts the headers of every answer on every answer, those of errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
