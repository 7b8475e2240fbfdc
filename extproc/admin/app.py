"""The application of the admin listener: probes, metrics, the public keys of the assertion,
sessions, and the last traces. Loopback by default.

Only `POST /v1/traces` (exports.py) and `/sessions` (sessions.py) change anything. No response may
be cached, nor its type guessed. Every client that reaches the address can read traces and metrics,
so a page of another origin must not reach it through a browser: everything but the probe /livez and
the public keys refuses a Host that its owner can point at 127.0.0.1 (DNS rebinding), and spans are
never taken from a browser.
"""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from extproc.admin.exports import export_to
from extproc.admin.session_admin import SessionAdmin
from extproc.admin.sessions import sessions
from extproc.admin.trace_reading import TraceReader
from extproc.admin.traces import list_of, one_of
from extproc.metrics.exposition import Page, page
from extproc.traces import TraceStore

Readiness = Callable[[], Awaitable[tuple[tuple[str, str], ...]]]
Gauges = Callable[[], Awaitable[tuple[tuple[str, int], ...]]]
Exposition = Callable[[str], Awaitable[Page]]

# What any Host may be used for: it says nothing that a stranger may not know.
_FOR_ANY_HOST = ("/livez", "/.well-known/jwks.json")
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
    readiness: Readiness,
    jwks: str,
    fingerprints: Mapping[str, str],
    gauges: Gauges,
    metrics: Exposition,
) -> list[Route]:
    """Make the routes for probes, Envoy, Prometheus and `extproc check`; the arguments are those of
    `application`.
    """

    async def livez(_: Request) -> Response:
        return JSONResponse({"live": True})

    async def readyz(_: Request) -> Response:
        missing = await readiness()
        if not missing:
            return JSONResponse({"ready": True})
        parts = [{"part": part, "reason": reason} for part, reason in missing]
        return JSONResponse({"ready": False, "missing": parts}, 503)

    async def keys(_: Request) -> Response:
        return Response(jwks, media_type="application/json")

    async def by_application(_: Request) -> Response:
        return JSONResponse(dict(fingerprints))

    async def counts(_: Request) -> Response:
        return JSONResponse(dict(await gauges()))

    async def exposition(request: Request) -> Response:
        exposed = await metrics(request.headers.get("accept", ""))
        return Response(exposed.body, headers={"content-type": exposed.content_type})

    return [
        Route("/livez", livez),
        Route("/readyz", readyz),
        Route("/gauges", counts),
        Route("/metrics", exposition),
        Route("/.well-known/jwks.json", keys),
        Route("/fingerprints", by_application),
    ]


def application(
    *,
    readiness: Readiness,
    jwks: str,
    traces: TraceStore,
    hosts: tuple[str, ...] = (),
    fingerprints: Mapping[str, str] = MappingProxyType({}),
    gauges: Gauges = _no_gauges,
    metrics: Exposition = _no_metrics,
    operators: SessionAdmin | None = None,
    unix_socket: bool = False,
) -> Starlette:
    """Make the admin application.

    Args:
        readiness: gives the parts that are not ready, as (part, reason); called at each probe.
        jwks: the key set of the assertion, as JSON.
        traces: the last traces.
        hosts: further names by which clients may call it. IP addresses and names that no public
            DNS has are allowed anyway.
        fingerprints: of the settings of each application (settings/fingerprint.py).
        gauges: gives the numbers of what the processor has under way, as (name, count).
        metrics: gives the exposition for Prometheus, by the Accept header.
        operators: lists and ends sessions; without it `/sessions` responds with 404.
        unix_socket: it is served on a unix socket, whose clients are all on this machine.
    """
    reader = TraceReader(traces)
    routes = [
        *_for_machines(readiness, jwks, fingerprints, gauges, metrics),
        Route("/", _to_traces),
        Route("/traces", list_of(reader)),
        Route("/traces.json", list_of(reader)),
        Route("/traces/{trace_id}", one_of(reader)),
        Route("/v1/traces", export_to(traces), methods=["POST"]),
        Route("/sessions", sessions(operators, unix_socket), methods=["GET", "DELETE"]),
    ]
    return Starlette(
        routes=routes, middleware=[Middleware(_Headers), Middleware(_KnownHosts, hosts=hosts)]
    )


def known_host(host: str, hosts: tuple[str, ...]) -> bool:
    """Whether no attacker's DNS can have this Host: an IP address, a name without dots, or one of
    `hosts`.
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


class _KnownHosts:
    """Middleware that refuses a Host that may be an attacker's name for this machine.

    It stands in front of the routes, so an endpoint that is added later is covered, too.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _FOR_ANY_HOST:
            # Every browser sends one; a probe that speaks HTTP/1.0 need not.
            given = Headers(scope=scope).getlist("host")
            if not all(known_host(host, self._hosts) for host in given):
                await _UNKNOWN_HOST(scope, receive, send)
                return
        await self.app(scope, receive, send)


_UNKNOWN_HOST = PlainTextResponse(
    "This Host is not served here; the setting admin_hosts has the names that are.\n", 421
)


class _Headers:
    """Middleware that adds HEADERS to every response, also to those of errors."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *HEADERS]}
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
