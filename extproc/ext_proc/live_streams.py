"""Live streams that end with their session: WebSockets, event streams and gRPC calls, where an
application asks for it.

Envoy keeps such a request's ext_proc stream open (the route has it send the response's headers and
trailers), and we keep it in hand. When the session is over we end the stream by an immediate
response, of which, in the middle of a response, Envoy makes a reset. The stream ends with an error
in any case but one: the request itself is over.

Sessions are asked for in the store, each once in a round, however many streams it has. A store that
cannot answer ends nothing: then the limit that Envoy itself keeps (Session.lasts) is what remains.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import grpc
import trio

from extproc import background, telemetry
from extproc._wire import ext_proc_pb2 as wire
from extproc.core.errors import Refusal, Unavailable
from extproc.core.session import Session, SessionId
from extproc.ext_proc import codec
from extproc.relying_party.relying_party import RelyingParty

Context = grpc.aio.ServicerContext[wire.ProcessingRequest, wire.ProcessingResponse]
EVERY = 3.0  # seconds between two rounds
OVER, LEAVING = "session_over", "processor_leaving"  # why a stream is ended; in the access log


@dataclass(slots=True)
class _Watched:
    """A session and its live streams here; each future gets the reason why its stream ends."""

    application: str
    session: Session
    streams: set[asyncio.Future[str]] = field(default_factory=set)

    def end(self, reason: str) -> None:
        for stream in self.streams:
            if not stream.done():
                stream.set_result(reason)


class Live:
    """The live streams of a process. hold() on the asyncio side, watch() in trio: both on one
    thread.
    """

    def __init__(self, relying_party: RelyingParty) -> None:
        self._relying_party = relying_party
        self._watched: dict[tuple[str, SessionId], _Watched] = {}
        self._leaving = False

    async def hold(self, context: Context, application: str, session: Session) -> None:
        """After the answer: until the request is over, or its session is. Aborts in that case."""
        over: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        key = (application, session.id)
        watched = self._watched.setdefault(key, _Watched(application, session))
        watched.streams.add(over)
        if self._leaving:
            over.set_result(LEAVING)
        try:
            await self._until(context, over)
        except codec.UnexpectedMessage as error:
            telemetry.log(logging.ERROR, "unexpected_message", detail=str(error))
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "unexpected message")
        finally:
            watched.streams.discard(over)
            if not watched.streams and self._watched.get(key) is watched:
                del self._watched[key]
        if over.done():
            telemetry.log(
                logging.INFO, "stream_ended", application=application, reason=over.result()
            )
            await context.write(codec.end_stream(over.result()))
            # should Envoy ever not obey: an error ends the request as well
            await context.abort(grpc.StatusCode.ABORTED, over.result())

    async def _until(self, context: Context, over: asyncio.Future[str]) -> None:
        """Answers the phases of the response as they come; they change nothing. Raises
        UnexpectedMessage.
        """
        while True:
            reading = asyncio.ensure_future(context.read())
            either: set[asyncio.Future[Any]] = {reading, over}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if over.done():
                    return
                message = reading.result()
            finally:
                reading.cancel()
            if not isinstance(message, wire.ProcessingRequest):
                return
            await context.write(codec.unchanged(message))

    async def watch(self) -> None:
        """Round after round, until cancelled. In trio."""
        while True:
            await trio.sleep(EVERY)
            await self.round()

    async def round(self) -> None:
        """Asks for each session once. In trio."""
        for watched in list(self._watched.values()):
            try:
                lives = await self._relying_party.lives(watched.application, watched.session)
            except Unavailable as error:
                telemetry.log(
                    logging.WARNING, "sessions_unwatched", reason=error.reason, detail=error.detail
                )
                return
            except Refusal as error:
                telemetry.log(
                    logging.ERROR, "session_unwatched", reason=error.reason, detail=error.detail
                )
                continue
            except Exception as error:  # of this session's; the others are asked for all the same
                background.report("live streams", error, application=watched.application)
                continue
            if not lives:
                watched.end(OVER)

    def leave(self) -> None:
        """This processor is about to stop: who comes again is served by another, or by the next."""
        self._leaving = True
        for watched in list(self._watched.values()):
            watched.end(LEAVING)
