"""A processor that listens for ext_proc streams, on each bridge."""

import pytest
from harness.bridges import BRIDGES
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.serving import listening
from harness.tokens import NOW, application

from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions


@pytest.fixture(params=BRIDGES)
def serving(request):
    """serving(test, ...) runs `await test(edge)` beside a listening processor."""

    def run(test, *, provider=None, store=None, app=None, limits=None, metrics=None):
        async def body(bridge):
            party = RelyingParty(
                {"app": app or application()},
                {"app": provider or MemoryProvider()},
                StoredSessions(store or MemoryStore()),
                lambda: NOW,
            )
            async with listening(bridge, party, limits, metrics) as edge:
                await test(edge)

        BRIDGES[request.param](body)

    return run
