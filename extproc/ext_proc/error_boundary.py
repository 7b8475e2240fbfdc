"""The exception boundary: every exception of the relying party becomes an answer here.

An expected error, a Refusal, becomes the answer of its reason. Any other exception is a bug: the
client gets 500, and the traceback goes to the log and nowhere else.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from extproc import background, telemetry
from extproc.core.decisions import Answer, LoadSession, ReadBody, Refresh, Respond, Step
from extproc.core.errors import Overloaded, Refusal
from extproc.core.http import Request
from extproc.core.provider_errors import ProviderTimeout
from extproc.ext_proc.codec import RequestHead
from extproc.relying_party.relying_party import RelyingParty

T = TypeVar("T")


class InternalError(Refusal):
    """A bug. The client gets a generic page with the trace id; the traceback is in the log."""


class ErrorBoundary:
    """The relying party without exceptions. One instance serves all streams.

    No method raises, but for cancellation: `perform` and `load_session` pass trio.Cancelled on.
    """

    def __init__(self, relying_party: RelyingParty) -> None:
        self._relying_party = relying_party

    def step(self, head: RequestHead) -> Answer | Step | ReadBody:
        """Decide without waiting.

        Returns: An answer, the step that the held lane has to take, or ReadBody when the request's
            body is needed first: then pass it to `read`.
        """
        request = head.request
        started = time.time_ns()
        try:
            decision = self._relying_party.decide(request)
            if isinstance(decision, Step):
                decision = self._relying_party.quick(request, decision) or decision
        except Exception as error:  # the boundary
            return self.refuse(request, error)
        # an answer needs no span of its own: the stream's span records it
        if isinstance(decision, Step):
            telemetry.past("decide", started, {"extproc.decision": type(decision).__name__})
        return decision

    def read(self, head: RequestHead, body: bytes) -> Answer | Step:
        """Decide with the request's body, after `step` returned ReadBody."""
        try:
            return self._relying_party.read(head.request, body)
        except Exception as error:  # the boundary
            return self.refuse(head.request, error)

    def overloaded(self, request: Request, step: Step, error: Overloaded) -> Answer:
        """The answer when the limit of the step's kind is reached.

        Refuse with 503, except for a refresh: if the current tokens are still valid, let the
        request through and refresh later.
        """
        if not isinstance(step, Refresh):
            return self.refuse(request, error, step)
        try:
            return self._relying_party.unrefreshed(request, step)
        except Exception as other:  # the boundary
            return self.refuse(request, other)

    async def perform(self, request: Request, step: Step, seconds: float) -> Answer:
        """Carry out a step in trio within `seconds`. Cancelled when the client has left."""
        return await self._within(
            seconds, request, step, lambda: self._relying_party.perform(request, step)
        )

    async def load_session(
        self, request: Request, step: LoadSession, seconds: float
    ) -> Answer | Step:
        """Load the session in trio within `seconds` and decide.

        Returns: An answer, or a further step, which needs a permit of its own kind.
        """

        async def load() -> Answer | Step:
            decision = await self._relying_party.look_up(request)
            if isinstance(decision, Step):
                return self._relying_party.quick(request, decision) or decision
            return decision

        return await self._within(seconds, request, step, load)

    async def _within(
        self, seconds: float, request: Request, step: Step, work: Callable[[], Awaitable[T]]
    ) -> T | Respond:
        try:
            # fail_after, never move_on_after: silence would let the request through. Loading the
            # session may have used up all the time there was.
            with trio.fail_after(max(seconds, 0)):
                return await work()
        except trio.TooSlowError:
            return self.refuse(request, ProviderTimeout(f"no answer within {seconds:g} s"), step)
        except Exception as error:  # the boundary
            return self.refuse(request, error, step)

    def refuse(self, request: Request, error: Exception, step: Step | None = None) -> Respond:
        """The answer to an exception that was met in a step, or before any step."""
        if not isinstance(error, Refusal):
            background.bug("internal_error", error)
            error = InternalError(type(error).__qualname__)
        try:
            return self._relying_party.refuse(request, error, step)
        except Exception as bug:
            background.bug("internal_error", bug)
            return Respond(500, InternalError.reason)
