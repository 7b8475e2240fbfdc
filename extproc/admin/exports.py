"""`POST /v1/traces` of the admin listener, which takes spans of other programs (OTLP/HTTP).

Every program that reaches the port can send spans. So an export is bounded in bytes, as it is
received and when it is unpacked, in the number of its spans and in the time that it takes; a few
are received simultaneously, and one at a time is decoded, in a thread, because logins must not wait
for it.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial

import trio
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from extproc.traces import BadExport, TraceStore

PROTOBUF = "application/x-protobuf"
# bytes of one export, as it is received and unpacked
BODY = 1_000_000
# exports that are received or decoded; a further one gets 503, and its sender tries again
AT_ONCE = 8
# seconds in which the whole export has to arrive
SECONDS = 5.0


def export_to(traces: TraceStore) -> Callable[[Request], Awaitable[Response]]:
    """Make the endpoint for OTLP/HTTP in protobuf, as Envoy and the SDKs send it (OTLP
    specification, OTLP/HTTP request).
    """
    places = trio.Semaphore(AT_ONCE)
    decoding = trio.CapacityLimiter(1)

    async def endpoint(request: Request) -> Response:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            places.acquire_nowait()
        except trio.WouldBlock:
            return PlainTextResponse("Too many exports.\n", 503, {"retry-after": "1"})
        try:
            body = await _received(request)
            if isinstance(body, Response):
                return body
            coding = request.headers.get("content-encoding", "")
            take = partial(traces.add_otlp, body, coding, limit=BODY)
            await trio.to_thread.run_sync(take, limiter=decoding)
        except ClientDisconnect:
            # No client is there to read it; without it the server would log a traceback.
            return Response(status_code=400)
        except BadExport as error:
            return PlainTextResponse(f"Not taken: {error}.\n", 400)
        finally:
            places.release()
        # An empty ExportTraceServiceResponse: all spans were taken.
        return Response(b"", media_type=PROTOBUF)

    return endpoint


def _refusal(request: Request) -> Response | None:
    """The response to a request that cannot be an export; None if it may be one."""
    if "origin" in request.headers or request.headers.get("sec-fetch-site", "none") != "none":
        return PlainTextResponse("Spans are not taken from a browser.\n", 403)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != PROTOBUF:
        return PlainTextResponse(f"The content type is {PROTOBUF}.\n", 415)
    return None


async def _received(request: Request) -> bytes | Response:
    """The body of the request, or the response to a body that is too large or too slow."""
    body = bytearray()
    with trio.move_on_after(SECONDS):
        async with aclosing(request.stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > BODY:
                    return PlainTextResponse("The body is too large.\n", 413)
        return bytes(body)
    return PlainTextResponse("The body did not come in time.\n", 408)
