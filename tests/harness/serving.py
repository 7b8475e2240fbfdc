"""The processor's real gRPC listener, for peers that do what Envoy never does.

async with listening(bridge, party) as edge:      # on the asyncio side; see harness.bridges
    await edge.call(head("/private"))             # the answers of one stream
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from extproc._wire import ext_proc_pb2 as wire
from extproc.addresses import Address
from extproc.contract import APPLICATION, SERVICE
from extproc.ext_proc.bridge import Bridge
from extproc.ext_proc.credentials import ListenAddress
from extproc.ext_proc.server import Listener
from extproc.ext_proc.servicer import Servicer
from extproc.metrics import Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.settings import Limits, Timeouts

ROUTE = ((APPLICATION, "app"),)
# what a browser sends with a navigation, as keywords of head()
NAVIGATION = {"accept": "text/html", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}


def encoded(message: wire.ProcessingRequest | bytes) -> bytes:
    return message if isinstance(message, bytes) else message.SerializeToString()


def head(
    path: str | bytes = "/private", method: str = "GET", **more: str | bytes
) -> wire.ProcessingRequest:
    """The first message of a stream. Header names have underscores for hyphens."""
    headers = {":method": method, ":path": path, ":authority": "app.example", ":scheme": "https"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}  # type: ignore[arg-type]
    message = wire.ProcessingRequest()
    for name, value in headers.items():
        header = message.request_headers.headers.headers.add()
        header.key, header.raw_value = name, value if isinstance(value, bytes) else value.encode()
    return message


@dataclass(frozen=True, slots=True)
class Edge:
    """A listening processor, on the asyncio side of its bridge."""

    bridge: Bridge
    listener: Listener
    servicer: Servicer
    method: Any

    @property
    def port(self) -> int:
        return self.listener.port

    def stream(self, metadata: tuple[tuple[str, str | bytes], ...] = ROUTE) -> Any:
        return self.method(metadata=metadata)

    async def call(
        self,
        *messages: wire.ProcessingRequest | bytes,
        metadata: Any = ROUTE,
        half_close: bool = True,
    ) -> list[wire.ProcessingResponse]:
        """The answers of a stream that sent these messages.

        Raises grpc.aio.AioRpcError when the stream was aborted.
        """
        stream = self.stream(metadata)
        try:
            # The stream may end before all messages are sent, which grpc.aio calls an internal
            # error. Only the answers count.
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                for message in messages:
                    await stream.write(message)
                if half_close:
                    await stream.done_writing()
            answers = []
            while (answer := await stream.read()) is not grpc.aio.EOF:
                answers.append(answer)
            if (code := await stream.code()) is not grpc.StatusCode.OK:
                raise AssertionError(f"ended with {code}")
            return answers
        finally:
            # Otherwise grpc keeps a call whose read is cancelled before the server's first metadata
            # arrived.
            stream.cancel()

    async def aborted(
        self,
        *messages: wire.ProcessingRequest | bytes,
        metadata: Any = ROUTE,
        half_close: bool = True,
    ) -> grpc.StatusCode:
        """The status of a stream that the processor aborts after these messages."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(*messages, metadata=metadata, half_close=half_close)
        code = caught.value.code()
        assert code is not grpc.StatusCode.OK
        return code


async def until(check: Callable[[], object]) -> None:
    """Wait until the check holds, within the time of the whole test."""
    while not check():
        await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(
    bridge: Bridge,
    party: RelyingParty,
    limits: Limits | None = None,
    metrics: Metrics | None = None,
) -> AsyncIterator[Edge]:
    servicer = Servicer(party, bridge, Timeouts(), limits or Limits(), metrics)
    listener = Listener(servicer, ListenAddress(Address(host="127.0.0.1", port=0)))
    await listener.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{listener.port}") as channel:
            method = channel.stream_stream(
                f"/{SERVICE}/Process", encoded, wire.ProcessingResponse.FromString
            )
            async with asyncio.timeout(60):
                yield Edge(bridge, listener, servicer, method)
    finally:
        await listener.drain(0)
    # The server counts a call as ended before the handler of one that was aborted has unwound.
    async with asyncio.timeout(60):
        await until(lambda: not servicer.admission.streams)
