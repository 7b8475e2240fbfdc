"""The servicer: what streams share, and when the last of them began."""

import time

from harness.serving import NAVIGATION, head
from harness.tokens import application

from extproc.settings import Limits


def test_it_remembers_when_the_last_stream_began_whatever_became_of_it(serving):
    async def test(edge):
        assert edge.servicer.latest == float("-inf")
        for message in (head(**NAVIGATION), b"\xff\xff\xff"):
            before = time.monotonic()
            await (edge.call(message) if not isinstance(message, bytes) else edge.aborted(message))
            assert before <= edge.servicer.latest <= time.monotonic()

    serving(test)


def test_its_limits_and_applications_are_those_that_it_was_given(serving):
    limits = Limits(login=3)

    async def test(edge):
        assert edge.servicer.admission.limits is limits
        (answer,) = await edge.call(head("/oauth2/signed-out"))
        assert answer.immediate_response.details == "signed_out_page"

    serving(test, app=application(), limits=limits)
