"""Live streams that end with their session: WebSockets, event streams and gRPC calls, where an
application asks for it.

Envoy keeps such a request's ext_proc stream open (the route has it send the response's headers and
trailers), and the processor holds it. When the session is over the processor ends the stream by an
immediate response, of which, in the middle of a response, Envoy makes a reset. Unless the request
itself has finished, the stream always ends with an error, so Envoy never lets the request continue.

The store is asked for each session once in a round, however many streams the session has. A store
that cannot answer ends nothing: the limit that Envoy itself keeps (Session.lasts) still holds.
"""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc
import trio

from extproc import background, telemetry
from extproc._wire import ext_proc_pb2 as wire
from extproc.core.errors import Refusal, Unavailable
from extproc.core.session import Session, SessionId
from extproc.ext_proc import codec
from extproc.ext_proc.context import Context
from extproc.relying_party.relying_party import RelyingParty

EVERY = 3.0  # seconds between two rounds
# reasons why a stream is ended, rows of core/reasons
SESSION_OVER = "session_over"
PROCESSOR_LEAVING = "processor_leaving"
# the reason why a stream ends, and the cause of it
_End = tuple[str, str]


@dataclass(slots=True)
class _Watched:
    """A session and its live streams in this process, which one rule of the application decides.

    Each future of `streams` is set to the reason why its stream ends, and the cause of it, or "".
    """

    application: str
    rule: str
    session: Session
    streams: set[asyncio.Future[_End]] = field(default_factory=set)

    def end(self, reason: str, cause: str = "") -> None:
        for stream in self.streams:
            if not stream.done():
                stream.set_result((reason, cause))


class LiveStreams:
    """The live streams of a process.

    `hold` runs on the asyncio side and `watch` in trio, both on one thread.

    Args:
        relying_party: Knows whether a session still serves a request.
        per_user: How many live streams one user may have.
    """

    def __init__(self, relying_party: RelyingParty, per_user: int) -> None:
        self._relying_party = relying_party
        self._per_user = per_user
        self._watched: dict[tuple[str, str, SessionId], _Watched] = {}
        # live streams by user: the provider and the subject
        self._by_user: Counter[tuple[str, str]] = Counter()
        self._leaving = False

    def at_limit(self, session: Session) -> bool:
        """Whether the user of a session has as many live streams here as one user may have."""
        return self._by_user.get((session.issuer, session.subject), 0) >= self._per_user

    async def hold(self, context: Context, application: str, rule: str, session: Session) -> None:
        """Hold a stream, after its answer, until its request or its session is over, or the rule
        that decided the request refuses the session's user.

        Raises: grpc.aio.AbortError when the session is over, when the processor is about to stop,
            and after an unexpected message.
        """
        end: asyncio.Future[_End] = asyncio.get_running_loop().create_future()
        key = (application, rule, session.id)
        watched = self._watched.setdefault(key, _Watched(application, rule, session))
        watched.streams.add(end)
        user = session.issuer, session.subject
        self._by_user[user] += 1
        if self._leaving:
            end.set_result((PROCESSOR_LEAVING, ""))
        try:
            await self._until(context, end)
        except codec.UnexpectedMessage as error:
            telemetry.log(logging.ERROR, "unexpected_message", detail=str(error))
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "unexpected message")
        finally:
            watched.streams.discard(end)
            self._by_user[user] -= 1
            if not self._by_user[user]:
                del self._by_user[user]
            if not watched.streams and self._watched.get(key) is watched:
                del self._watched[key]
        if end.done():
            reason, cause = end.result()
            telemetry.log(
                logging.INFO,
                "stream_ended",
                application=application,
                rule=rule or None,
                reason=reason,
                detail=cause or None,
            )
            await context.write(codec.end_stream(reason))
            # should Envoy ever not obey: an error ends the request as well
            await context.abort(grpc.StatusCode.ABORTED, reason)

    async def _until(self, context: Context, end: asyncio.Future[_End]) -> None:
        """Answer the phases of the response, which change nothing, until the request is over or
        `end` is set. Raises UnexpectedMessage.
        """
        while True:
            reading = asyncio.ensure_future(context.read())
            either: set[asyncio.Future[Any]] = {reading, end}
            try:
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                if end.done():
                    return
                message = reading.result()
            finally:
                reading.cancel()
            if not isinstance(message, wire.ProcessingRequest):
                return
            await context.write(codec.unchanged(message))

    async def watch(self) -> None:
        """Repeat `round` every EVERY seconds, in trio, until cancelled."""
        while True:
            await trio.sleep(EVERY)
            await self.round()

    async def round(self) -> None:
        """Ask the store for each session once, in trio, and end the streams of those that are over.

        A round ends early when the store is unavailable. An error of one session does not keep the
        streams of the others open.
        """
        for watched in list(self._watched.values()):
            try:
                cause = await self._relying_party.over(
                    watched.application, watched.rule, watched.session
                )
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
            except Exception as error:
                background.report("live streams", error, application=watched.application)
                continue
            if cause:
                watched.end(SESSION_OVER, cause)

    def leave(self) -> None:
        """End all live streams because the processor is about to stop.

        Clients that reconnect reach another worker, or this one's successor.
        """
        self._leaving = True
        for watched in list(self._watched.values()):
            watched.end(PROCESSOR_LEAVING)
