"""The asyncio edge: the ext_proc servicer on grpc.aio. Reads, writes, and hops into trio for a
Step.

The contract with Envoy, of which every line below is a consequence: each phase gets exactly one
answer, or the stream is aborted with an error. A stream that ends cleanly without an answer lets
the request through, so there is one way out of `process` that returns, and it is behind the write
of an answer.
"""

import asyncio
import itertools
import time
from collections.abc import Iterable
from functools import partial
from typing import NoReturn

import grpc
import trio
from google.protobuf.message import DecodeError
from opentelemetry.trace import Span, SpanKind

from extproc import telemetry
from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import SERVICE
from extproc.core.decisions import Answer, Continue, LoadSession, ReadBody, Respond, Step, kind
from extproc.core.errors import Overloaded
from extproc.core.http import Request
from extproc.core.session import Session
from extproc.ext_proc import codec
from extproc.ext_proc.admission import Admission, Permit
from extproc.ext_proc.bridge import Bridge
from extproc.ext_proc.error_boundary import Processor
from extproc.ext_proc.live_streams import Live
from extproc.ext_proc.span_attributes import PROCESS, record
from extproc.ext_proc.stream_log import RateLimitedLog, StreamLog
from extproc.metrics import NO_STEP, Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.settings import Limits, Timeouts

Held = tuple[str, Session, Permit]  # a live stream: its application's name, its session, its place
Context = grpc.aio.ServicerContext[wire.ProcessingRequest, wire.ProcessingResponse]
ANSWER_SLACK = 5.0  # seconds that Envoy waits beyond our own deadline: revocation, scheduling
BODY_TIMEOUT = 20.0  # seconds for a body of 64 kB
MAX_TOUCHES = 100
_RPC = {"rpc.system": "grpc", "rpc.service": SERVICE, "rpc.method": "Process"}


class Server:
    """The servicer. Everything it holds is a counter: no state of a request outlives its stream."""

    def __init__(
        self,
        relying_party: RelyingParty,
        bridge: Bridge,
        timeouts: Timeouts,
        limits: Limits,
        metrics: Metrics | None = None,
        descriptors: int | None = None,
    ) -> None:
        """descriptors: see Admission."""
        self._relying_party = relying_party
        self._processor = Processor(relying_party)
        self._bridge = bridge
        self._timeouts = timeouts
        self._metrics = metrics or Metrics()
        self.admission = Admission(limits, descriptors=descriptors)
        self.live = Live(relying_party)
        self._ids = itertools.count(1)
        self._damper = RateLimitedLog()
        self._touching = 0
        self.latest = float("-inf")  # when the last stream came, on the monotonic clock

    async def process(self, _: object, context: Context) -> None:
        """One stream. Every way out is an answer that was written, or an abort."""
        metadata = _pairs(context.invocation_metadata() or ())
        self.admission.streams += 1
        self.latest = time.monotonic()
        log = StreamLog(next(self._ids), self._damper)
        outcome, started = "unanswered", time.perf_counter()
        try:
            with telemetry.span(
                PROCESS, SpanKind.SERVER, _RPC, telemetry.parent_of(metadata)
            ) as span:
                response, held = await self._process(context, dict(metadata), span, log, started)
                outcome = "answered"
                # Envoy may reset the stream as soon as it has this: what is cancelled from here on
                # was answered
                span.add_event("answered")
                try:
                    await context.write(response)
                except BaseException:
                    if held is not None:
                        self.admission.release(held[2])
                    raise
        except asyncio.CancelledError:
            outcome = "answered" if outcome == "answered" else "cancelled"
            raise
        except (grpc.aio.AbortError, DecodeError):
            outcome = "aborted"
            raise
        except BaseException:
            outcome = "unanswered"
            raise
        finally:
            self.admission.streams -= 1
            self._metrics.ended(outcome)
        if held is not None:
            application, session, permit = held
            try:
                await self.live.hold(context, application, session)
            finally:
                self.admission.release(permit)

    async def _process(
        self, context: Context, metadata: dict[str, str], span: Span, log: StreamLog, started: float
    ) -> tuple[wire.ProcessingResponse, Held | None]:
        """The answer, to be written, and what is to be held on: a live stream. Aborts when its peer
        breaks the protocol.
        """
        message = await context.read()
        began = time.time_ns()
        if not isinstance(message, wire.ProcessingRequest):
            await context.abort(
                grpc.StatusCode.ABORTED, "the stream ended before its first message"
            )
        try:
            head = codec.read(message, metadata)
            del message  # what waits for a provider does so in thousands
        except codec.UnexpectedMessage as error:
            await _unexpected(context, error, span, log)
        log.application = head.request.application[:80]
        try:
            lane, answer = await self._answer(context, head, span, log)
        except asyncio.CancelledError:
            span.set_attribute("extproc.reason", "cancelled")
            log.ended("cancelled", "cancelled")
            raise
        held = None
        if head.live:
            answer, held = self._take(answer, head)
        try:
            answer, response = self._encode(answer, head, log.lane)
            self._note(answer, head, span, log, began)
            self._metrics.answered(
                lane, head.request.application, answer.reason, time.perf_counter() - started, span
            )
            return response, held
        except BaseException:
            if held is not None:
                self.admission.release(held[2])
            raise

    def _take(self, answer: Answer, head: codec.RequestHead) -> tuple[Answer, Held | None]:
        """A place for a live stream. One that nobody would end is not let through."""
        if not isinstance(answer, Continue) or answer.session is None:
            return answer, None
        request = head.request
        try:
            permit = self.admission.acquire("live", self._relying_party.provider(request).name)
        except Overloaded as error:
            return self._processor.refuse(request, error), None
        return answer, (request.application, answer.session, permit)

    async def _answer(
        self, context: Context, head: codec.RequestHead, span: Span, log: StreamLog
    ) -> tuple[str, Answer]:
        """The answer, and the lane in which it was found."""
        if self.admission.over_limit:
            return NO_STEP, self._processor.refuse(
                head.request, Overloaded("too many streams (limits.streams)")
            )
        decision = self._processor.step(head)
        if isinstance(decision, ReadBody):
            decision = self._processor.read(head, await self._body(context, head, span, log))
        if isinstance(decision, Continue | Respond):
            return NO_STEP, decision
        return kind(decision), await self._hold(context, head, decision, span, log)

    async def _body(
        self, context: Context, head: codec.RequestHead, span: Span, log: StreamLog
    ) -> bytes:
        """Answers the headers and waits for the body, which is a phase of its own. What comes in
        its place aborts the stream.
        """
        if head.end_of_stream:
            return b""
        await context.write(codec.ask_for_body())
        span.add_event("body asked for")
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                message = await context.read()
        except TimeoutError:
            _aborted(span, log, "body_missing", f"not there within {BODY_TIMEOUT:g} s")
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the body did not come")
        if not isinstance(message, wire.ProcessingRequest):
            _aborted(span, log, "body_missing", "the stream ended before it")
            await context.abort(grpc.StatusCode.ABORTED, "the stream ended before the body")
        try:
            return codec.read_body(message)
        except codec.UnexpectedMessage as error:
            await _unexpected(context, error, span, log)

    async def _hold(
        self, context: Context, head: codec.RequestHead, step: Step, span: Span, log: StreamLog
    ) -> Answer:
        """The held lane: a place in it, more time from Envoy, then the work in trio under one
        deadline.
        """
        lane, request = kind(step), head.request
        provider = self._relying_party.provider(request).name
        try:
            permit = self.admission.acquire(lane, provider)
        except Overloaded as error:
            return self._processor.crowded_out(request, step, error)
        seconds = self._timeouts.held(lane)
        try:
            # before the hop: in a burst the override must not wait behind the work of others
            await context.write(codec.override_message_timeout(seconds + ANSWER_SLACK))
        except BaseException:
            self.admission.release(permit)
            raise
        span.add_event("override sent", {"extproc.seconds": seconds + ANSWER_SLACK})
        span.add_event("held", {"extproc.lane": lane})
        log.held(lane, provider)
        return await self._bridge.run(partial(self._work, permit, request, step, seconds))

    async def _work(self, permit: Permit, request: Request, step: Step, seconds: float) -> Answer:
        """In trio. What a lookup finds to be done has a lane of its own, within the time that Envoy
        was asked for.
        """
        deadline = trio.current_time() + seconds
        try:
            if isinstance(step, LoadSession):
                found = await self._processor.look_up(request, step, seconds)
                if isinstance(found, Continue | Respond):
                    return found
                step = found
                place = self.admission.acquire(kind(step), permit.provider)
                self.admission.release(permit)
                permit = place
            return await self._processor.perform(request, step, deadline - trio.current_time())
        except Overloaded as error:
            return self._processor.crowded_out(request, step, error)
        finally:
            self.admission.release(permit)

    def _encode(
        self, answer: Answer, head: codec.RequestHead, lane: str
    ) -> tuple[Answer, wire.ProcessingResponse]:
        """The answer that goes out, and its message."""
        try:
            return answer, codec.write(answer, telemetry.trace_id(), lane, grpc=head.grpc)
        except Exception as error:  # a value that no header may hold: still an answer
            answer = self._processor.refuse(head.request, error)
            return answer, codec.write(answer, telemetry.trace_id(), lane, grpc=head.grpc)

    def _note(
        self, answer: Answer, head: codec.RequestHead, span: Span, log: StreamLog, started: int
    ) -> None:
        record(answer, head.request, span, started)
        if (
            isinstance(answer, Continue)
            and answer.touch is not None
            and self._touching < MAX_TOUCHES
        ):
            self._touching += 1
            self._bridge.spawn("touch", partial(self._touch, head.request, answer.touch))
        log.answered(answer)

    async def _touch(self, request: Request, session: Session) -> None:
        try:
            await self._relying_party.touch(request, session)
        finally:
            self._touching -= 1


async def _unexpected(
    context: Context, error: codec.UnexpectedMessage, span: Span, log: StreamLog
) -> NoReturn:
    _aborted(span, log, "unexpected_message", str(error))
    await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "unexpected message")


def _aborted(span: Span, log: StreamLog, reason: str, detail: str) -> None:
    """Before the abort, by which the request fails at Envoy."""
    log.ended("aborted", reason, detail)
    span.set_attribute("extproc.reason", reason)
    telemetry.failed(span, reason)


def _pairs(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[str, str]]:
    return [(key, value) for key, value in metadata if isinstance(value, str)]
