"""One ext_proc stream, from the request's headers to the answer, on the asyncio side.

The contract with Envoy, of which every line below is a consequence: each phase gets exactly one
answer, or the stream is aborted with an error. A stream that ends cleanly without an answer lets
the request through, so `run` returns only after an answer was written.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

import grpc
from opentelemetry.trace import Span, SpanKind

from extproc import telemetry
from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import SERVICE
from extproc.core.decisions import Answer, Continue, ReadBody, Step, StepKind
from extproc.core.errors import Overloaded
from extproc.core.session import Session
from extproc.ext_proc import codec
from extproc.ext_proc.admission import Permit
from extproc.ext_proc.context import Context
from extproc.ext_proc.held_work import carry_out
from extproc.ext_proc.shared import Shared
from extproc.ext_proc.span_attributes import PROCESS, record
from extproc.ext_proc.stream_log import StreamLog
from extproc.ext_proc.stream_outcome import StreamOutcome
from extproc.metrics import NO_STEP

ANSWER_SLACK = 5.0  # seconds that Envoy waits beyond our own deadline: revocation, scheduling
BODY_TIMEOUT = 5.0  # seconds for a body of 64 kB, which a provider sends together with its head
_RPC = {"rpc.system": "grpc", "rpc.service": SERVICE, "rpc.method": "Process"}


@dataclass(frozen=True, slots=True)
class _Live:
    """The session of a live stream, and the stream's permit."""

    session: Session
    permit: Permit


class Stream:
    """One ext_proc stream. Answers each phase exactly once, or aborts."""

    __slots__ = (
        "_context",
        "_head",
        "_live",
        "_log",
        "_outcome",
        "_read_at",
        "_shared",
        "_span",
        "_started",
        "_step",
    )
    _head: codec.RequestHead
    _span: Span

    def __init__(self, shared: Shared, context: Context, log: StreamLog) -> None:
        self._shared = shared
        self._outcome = StreamOutcome(shared.admission, shared.metrics)
        self._context = context
        self._log = log
        # seconds of perf_counter; nanoseconds since the epoch when the first message was there
        self._started = time.perf_counter()
        self._read_at = 0
        self._step: str = NO_STEP
        self._live: _Live | None = None

    async def run(self) -> None:
        """Answer the request, and hold the stream while it is live. Every other way out raises."""
        metadata = _texts(self._context.invocation_metadata() or ())
        try:
            with (
                self._outcome,
                telemetry.span(
                    PROCESS, SpanKind.SERVER, _RPC, telemetry.parent_of(metadata)
                ) as self._span,
            ):
                await self._serve(metadata)
            if self._live is not None:
                request = self._head.request
                application, rule = request.application, request.rule
                # A live stream may last for days: its request's headers must not stay in memory.
                del self._head, request
                await self._shared.live_streams.hold(
                    self._context, application, rule, self._live.session
                )
        finally:
            if self._live is not None:
                self._live.permit.release()

    async def _serve(self, metadata: Mapping[str, str]) -> None:
        """Read the request's headers, decide, and write the answer."""
        message = await self._first_message()
        if codec.is_refused_by_envoy(message, metadata):
            await self._pass_response(message)
            return
        await self._read_head(message, metadata)
        try:
            answer = await self._decide()
        except asyncio.CancelledError:
            self._span.set_attribute("extproc.reason", "cancelled")
            self._log.ended("cancelled", "cancelled")
            raise
        if self._head.live:
            answer = self._admit_live(answer)
        answer, response = self._encode(answer)
        self._record(answer)
        # a stream that is cancelled from here on was answered
        self._outcome.answered = True
        self._span.add_event("answered")
        await self._context.write(response)

    async def _first_message(self) -> wire.ProcessingRequest:
        """Read the first message. Abort when there is none."""
        message = await self._context.read()
        self._read_at = time.time_ns()
        if isinstance(message, wire.ProcessingRequest):
            return message
        await self._context.abort(
            grpc.StatusCode.ABORTED, "the stream ended before its first message"
        )

    async def _pass_response(self, message: wire.ProcessingRequest) -> None:
        """Change nothing in a response that Envoy gives by itself, before the request has come to
        the processor: on the route of a live stream, a filter before it refused the request.
        A clean end after that leaves the rest of the response as it is.
        """
        self._outcome.answered = True
        await self._context.write(codec.unchanged(message))

    async def _read_head(
        self, message: wire.ProcessingRequest, metadata: Mapping[str, str]
    ) -> None:
        """Read the request's headers. Abort when the message holds none."""
        try:
            self._head = codec.read(message, metadata)
        except codec.UnexpectedMessage as error:
            await self._abort_unexpected(error)
        self._log.application = self._head.request.application[:80]

    async def _decide(self) -> Answer:
        """Find the answer: inline, after the body, or in the held lane."""
        boundary = self._shared.boundary
        if self._shared.admission.over_limit:
            error = Overloaded("too many streams (limits.streams)")
            return boundary.refuse(self._head.request, error)
        decision = boundary.step(self._head)
        if isinstance(decision, ReadBody):
            decision = boundary.read(self._head, await self._read_body())
        if isinstance(decision, Answer):
            return decision
        return await self._hold(decision)

    async def _read_body(self) -> bytes:
        """Answer the headers and read the body, which is a phase of its own. Abort on any other
        message.
        """
        if self._head.end_of_stream:
            return b""
        shared = self._shared
        provider = shared.relying_party.provider(self._head.request).name
        detail = f"not there within {BODY_TIMEOUT:g} s"
        try:
            async with asyncio.timeout(BODY_TIMEOUT) as wait:
                give_way = partial(_end, wait)
                with shared.admission.acquire(StepKind.BODY, provider, give_way) as permit:
                    await self._context.write(codec.ask_for_body())
                    self._span.add_event("body asked for")
                    message = await self._context.read()
        except TimeoutError:
            if permit.revoked:
                detail = "newer requests have taken its place (limits.body)"
            self._record_abort("body_missing", detail)
            await self._context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the body did not come")
        if not isinstance(message, wire.ProcessingRequest):
            self._record_abort("body_missing", "the stream ended before it")
            await self._context.abort(grpc.StatusCode.ABORTED, "the stream ended before the body")
        try:
            return codec.read_body(message)
        except codec.UnexpectedMessage as error:
            await self._abort_unexpected(error)

    async def _hold(self, step: Step) -> Answer:
        """Acquire a permit, ask Envoy for more time, and have the step carried out in trio."""
        self._step = step.kind
        shared, request = self._shared, self._head.request
        provider = shared.relying_party.provider_of(request, step)
        seconds = shared.timeouts.of(step.kind)
        with ExitStack() as undo:
            try:
                permit = undo.enter_context(shared.admission.acquire(step.kind, provider))
            except Overloaded as error:
                return shared.boundary.overloaded(request, step, error)
            # before the hop into trio: in a burst the override must not wait behind other work
            await self._context.write(codec.override_message_timeout(seconds + ANSWER_SLACK))
            self._span.add_event("override sent", {"extproc.seconds": seconds + ANSWER_SLACK})
            self._span.add_event("held", {"extproc.step": step.kind.value})
            self._log.held(step.kind, provider)
            # from here on the work in trio owns the permit
            undo.pop_all()
        return await shared.bridge.run(partial(carry_out, shared, permit, request, step, seconds))

    def _admit_live(self, answer: Answer) -> Answer:
        """Acquire the permit of a live stream that has a session.

        A live stream without a permit is refused, because nothing would end it with its session.
        """
        if not isinstance(answer, Continue) or answer.session is None:
            return answer
        shared, request = self._shared, self._head.request
        try:
            if shared.live_streams.at_limit(answer.session):
                raise Overloaded("too many live streams of one user (limits.live_per_user)")
            permit = shared.admission.acquire(
                StepKind.LIVE, shared.relying_party.provider(request).name
            )
        except Overloaded as error:
            return shared.boundary.refuse(request, error)
        self._live = _Live(answer.session, permit)
        return answer

    def _encode(self, answer: Answer) -> tuple[Answer, wire.ProcessingResponse]:
        """The answer and its message. An answer that no header can hold becomes a refusal."""
        head, lane, trace_id = self._head, self._log.lane, telemetry.trace_id()
        try:
            return answer, codec.write(answer, trace_id, lane, grpc=head.grpc)
        except Exception as error:
            refusal = self._shared.boundary.refuse(head.request, error)
            return refusal, codec.write(refusal, trace_id, lane, grpc=head.grpc)

    def _record(self, answer: Answer) -> None:
        """Write the answer to the span, the log and the metrics, and the session's last use to the
        store.
        """
        request = self._head.request
        record(answer, request, self._span, self._read_at)
        if isinstance(answer, Continue) and answer.touch is not None:
            self._shared.touches.record(request, answer.touch)
        self._log.answered(answer, request.shadow)
        if isinstance(answer, Continue) and answer.would_refuse:
            self._shared.metrics.would_refuse(request.application, request.shadow)
        seconds = time.perf_counter() - self._started
        self._shared.metrics.answered(
            self._step, request.application, answer.reason, seconds, self._span
        )

    async def _abort_unexpected(self, error: codec.UnexpectedMessage) -> NoReturn:
        self._record_abort("unexpected_message", str(error))
        await self._context.abort(grpc.StatusCode.FAILED_PRECONDITION, "unexpected message")

    def _record_abort(self, reason: str, detail: str) -> None:
        """Write to the log and the span why the stream is about to be aborted, by which the request
        fails at Envoy.
        """
        self._log.ended("aborted", reason, detail)
        self._span.set_attribute("extproc.reason", reason)
        telemetry.failed(self._span, reason)


def _end(wait: asyncio.Timeout) -> None:
    """End a wait now, unless its time is up anyway."""
    if not wait.expired():
        wait.reschedule(asyncio.get_running_loop().time())


def _texts(metadata: Iterable[tuple[str, str | bytes]]) -> Mapping[str, str]:
    """The gRPC metadata whose value is text; of several values with one key, the last."""
    return {key: value for key, value in metadata if isinstance(value, str)}
