"""The work of a held stream, on the trio side of the bridge."""

import trio

from extproc.core.decisions import Answer, LoadSession, Step
from extproc.core.errors import Overloaded
from extproc.core.http import Request
from extproc.ext_proc.admission import Permit
from extproc.ext_proc.shared import Shared


async def carry_out(
    shared: Shared, permit: Permit, request: Request, step: Step, seconds: float
) -> Answer:
    """Carry out a step, in trio, and release its permit however that ends.

    The step that a loaded session leads to needs a permit of its own kind, and has what is left of
    the time for which Envoy was asked.

    Args:
        shared: The parts of the processor.
        permit: The permit for the step, which this call owns.
        request: The held request.
        step: What is to be done.
        seconds: How long it may take in all.
    """
    boundary = shared.boundary
    deadline = trio.current_time() + seconds
    with permit:
        if not isinstance(step, LoadSession):
            return await boundary.perform(request, step, seconds)
        decision = await boundary.load_session(request, step, seconds)
        if isinstance(decision, Answer):
            return decision
        try:
            following = shared.admission.acquire(decision.kind, permit.provider)
        except Overloaded as error:
            return boundary.overloaded(request, decision, error)
    with following:
        return await boundary.perform(request, decision, deadline - trio.current_time())
