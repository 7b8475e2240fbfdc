"""One ext_proc stream as a pure machine, and the one exception boundary: whatever happens becomes
an Answer or a Step.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from extproc import background, telemetry
from extproc.core.decisions import Answer, Continue, LoadSession, ReadBody, Refresh, Respond, Step
from extproc.core.errors import ProviderTimeout, Refusal
from extproc.core.http import Request
from extproc.core.provider_logout import posted
from extproc.ext_proc.codec import RequestHead
from extproc.relying_party.relying_party import RelyingParty

T = TypeVar("T")


class InternalError(Refusal):
    """A bug: a generic page with the trace id; its traceback is in the log."""


class Processor:
    """step() never raises: what is not a decision is a refusal, and what is no refusal is a bug
    that answers 500.
    """

    def __init__(self, relying_party: RelyingParty) -> None:
        self._relying_party = relying_party

    def step(self, head: RequestHead) -> Answer | Step | ReadBody:
        """The inline lane: an answer, the step that the held lane has to take, or the wish for the
        body: then read().
        """
        request, started = head.request, time.time_ns()
        try:
            decision = self._relying_party.decide(request)
            if isinstance(decision, Step):
                decision = self._relying_party.quick(request, decision) or decision
        except Exception as error:  # the boundary
            return self.refuse(request, error)
        if isinstance(decision, Step):  # else the stream's own span says it all
            telemetry.past("decide", started, {"extproc.decision": type(decision).__name__})
        return decision

    def read(self, head: RequestHead, body: bytes) -> Answer | Step:
        """The same once the body is there."""
        try:
            return posted(body)
        except Exception as error:  # the boundary
            return self.refuse(head.request, error)

    def crowded_out(self, request: Request, step: Step, error: Refusal) -> Answer:
        """No room in the lane: a refusal, but for tokens that are renewed another time where they
        are good for now.
        """
        if isinstance(step, Refresh):
            try:
                return self._relying_party.unrefreshed(request, step)
            except Exception as other:  # the boundary
                return self.refuse(request, other)
        return self.refuse(request, error, step)

    async def perform(self, request: Request, step: Step, seconds: float) -> Answer:
        """The held lane, in trio, under one deadline: always an answer, unless the client has left
        (trio.Cancelled).
        """
        return await self._within(
            seconds, request, step, lambda: self._relying_party.perform(request, step)
        )

    async def look_up(self, request: Request, step: LoadSession, seconds: float) -> Answer | Step:
        """The same for a lookup, which may find that there is more to do: in a lane of its own."""

        async def found() -> Answer | Step:
            decision = await self._relying_party.look_up(request)
            if isinstance(decision, Continue | Respond):
                return decision
            return self._relying_party.quick(request, decision) or decision

        return await self._within(seconds, request, step, found)

    async def _within(
        self, seconds: float, request: Request, step: Step, work: Callable[[], Awaitable[T]]
    ) -> T | Respond:
        try:
            # fail_after, never move_on_after: silence would let the request through
            with trio.fail_after(max(seconds, 0)):  # a lookup may have used up all there was
                return await work()
        except trio.TooSlowError:
            return self.refuse(request, ProviderTimeout(f"no answer within {seconds:g} s"), step)
        except Exception as error:  # the boundary
            return self.refuse(request, error, step)

    def refuse(
        self, request: Request | None, error: Exception, step: Step | None = None
    ) -> Respond:
        """A refusal as an answer; a bug as 500, with its traceback in the log and nowhere else."""
        if not isinstance(error, Refusal):
            background.bug("internal_error", error)
            error = InternalError(type(error).__qualname__)
        try:
            return self._relying_party.refuse(request, error, step)
        except Exception as bug:
            background.bug("internal_error", bug)
            return Respond(500, InternalError.reason)
