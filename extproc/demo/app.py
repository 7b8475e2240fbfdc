"""The demo's application, which knows nothing of logins and shows what reached it.

    python -m extproc.demo.app PORT IDP TRACE_PAGES TRACES

It answers with a page, or with JSON if `Accept` does not ask for HTML.
"""

import base64
import hashlib
import signal
import sys
from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path
from urllib.parse import unquote

import trio
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from extproc.addresses import Address
from extproc.admin.http_server import serve
from extproc.demo.layout import ADMIN_PATH
from extproc.demo.spans import tracer

STYLE = (Path(__file__).parent / "templates" / "app.css").read_text()
HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{HASH}'; base-uri 'none'; frame-ancestors 'none'"
IDENTITY = "x-auth-"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def application(spans: Tracer, idp: str, traces: str) -> Starlette:
    """The application. Its page links to the addresses `idp` and `traces`."""

    async def show(request: Request) -> Response:
        parent = TraceContextTextMapPropagator().extract(
            {"traceparent": request.headers.get("traceparent", "")}
        )
        with spans.start_as_current_span(
            f"{request.method} {request.url.path}", parent, SpanKind.SERVER
        ) as span:
            span.set_attributes(
                {"http.request.method": request.method, "url.path": request.url.path}
            )
            span.set_attribute("http.response.status_code", 200)
            if "text/html" in request.headers.get("accept", ""):
                return HTMLResponse(
                    page(request, idp, traces), headers={"content-security-policy": POLICY}
                )
            return JSONResponse(seen(request))

    endpoint: Callable[[Request], Awaitable[Response]] = show
    return Starlette(routes=[Route("/{path:path}", endpoint, methods=METHODS)])


def seen(request: Request) -> dict[str, object]:
    """What reached the application: headers in order, cookies, the user."""
    headers = [
        (name.decode("latin1"), value.decode("utf-8", "replace"))
        for name, value in request.headers.raw
    ]
    return {
        "method": request.method,
        "path": target(request),
        "user": {name.removeprefix(IDENTITY): value for name, value in identity(request).items()},
        "headers": headers,
        "cookies": request.cookies,
        "trace_id": trace_id(request),
    }


def identity(request: Request) -> dict[str, str]:
    """The identity headers, decoded: their values are percent-encoded UTF-8, and a comma separates
    the values of a list (docs/settings.md).
    """
    return {
        name: ", ".join(unquote(part) for part in value.split(","))
        for name, value in request.headers.items()
        if name.startswith(IDENTITY)
    }


def target(request: Request) -> str:
    """The path and query byte for byte."""
    raw: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return (raw + (b"?" + query if query else b"")).decode("latin1")


def trace_id(request: Request) -> str:
    """The trace of the request, 32 hexadecimal digits; '' if it has none."""
    parts = request.headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) == 4 else ""


def page(request: Request, idp: str, traces: str) -> str:
    """The page as HTML."""
    user = identity(request)
    trace = trace_id(request)
    return f"""<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>
<meta name=color-scheme content='light dark'><title>Demo application</title><style>{STYLE}</style></head><body>
<main>{_who(user)}
<nav><a href='/'>Start page</a><a href='/reports?year=2026'>Reports</a><a href='/public/'>Public page</a><a href='{ADMIN_PATH}'>Admin page</a>
<a href='/oauth2/userinfo'>UserInfo</a><a href='{escape(traces)}/{escape(trace)}'>Trace of this page</a>
<a href='{escape(traces)}'>All traces</a></nav>
{_table("Identity, from the gateway", list(user.items()), "None: nobody is signed in, or this path is public.")}
{_table("Cookies", list(request.cookies.items()), "None. The gateway keeps its own to itself.")}
{_table("All headers", [(n.decode("latin1"), v.decode("utf-8", "replace")) for n, v in request.headers.raw], "")}
<p class=soft>{escape(request.method)} <code>{escape(target(request))}</code> · provider at
<a href='{escape(idp)}.well-known/openid-configuration'>{escape(idp)}</a></p></main></body></html>"""


def _who(user: dict[str, str]) -> str:
    """The user's name and a button to sign out, which is a form, because a link could be followed
    by accident or from another site.
    """
    if f"{IDENTITY}sub" not in user:
        return (
            "<header><h1>Hello, whoever you are</h1><a class=button href='/'>Sign in</a></header>"
        )
    name = user.get(f"{IDENTITY}name") or user[f"{IDENTITY}sub"]
    return (
        f"<header><h1>Hello, {escape(name)}</h1>"
        "<form method=post action='/oauth2/logout'><button type=submit>Sign "
        "out</button></form></header>"
    )


def _table(title: str, pairs: list[tuple[str, str]], nothing: str) -> str:
    lines = "".join(f"<tr><th scope=row>{escape(name)}<td>{escape(value)}" for name, value in pairs)
    body = f"<table>{lines}</table>" if pairs else f"<p class=soft>{nothing}</p>"
    return f"<section><h2>{title}</h2>{body}</section>"


async def run(app: Starlette, port: int) -> None:
    """Serves on loopback until SIGTERM or SIGINT."""
    shutdown = trio.Event()
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_serve, app, port, shutdown)
            async for _ in signals:
                shutdown.set()
                break


async def _serve(app: Starlette, port: int, shutdown: trio.Event) -> None:
    await serve(app, Address(host="127.0.0.1", port=port), shutdown=shutdown)


if __name__ == "__main__":
    _, port, provider, trace_pages, endpoint = sys.argv
    trio.run(run, application(tracer("app", endpoint), provider, trace_pages), int(port))
