"""Held work: its permits are released however it ends, and what a loaded session leads to has a
permit of its own kind.
"""

import pytest
import trio
from harness.fault_at_await import Direct
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.tokens import ISSUER, NOW, application, request

from extproc.core.decisions import Continue, LoadSession, Refresh, StartLogin, StepKind
from extproc.core.device import Device
from extproc.core.oidc.claims import Claims
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.ext_proc.admission import Admission
from extproc.ext_proc.error_boundary import ErrorBoundary
from extproc.ext_proc.held_work import carry_out
from extproc.ext_proc.live_streams import LiveStreams
from extproc.ext_proc.shared import Shared
from extproc.ext_proc.touches import Touches
from extproc.metrics import Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions
from extproc.settings import Limits, Timeouts

APP = application(refresh_margin=30)
DUE = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt0", NOW + 9, NOW - 400, NOW + 9_000, NOW
)  # fmt: skip
SIGNED_IN = request(cookie=f"{APP.cookies.session}={DUE.id.cookie}")
SECONDS = 7.0


class World:
    def __init__(self, nursery, **limits):
        self.store, self.provider = MemoryStore(), MemoryProvider()
        self.store.records[DUE.id.key] = to_record(APP, DUE, Device(), bytes(2 * ENTROPY))
        self.provider.good.add("rt0")
        party = RelyingParty(
            {"app": APP}, {"app": self.provider}, StoredSessions(self.store), lambda: NOW
        )
        self.admission, bridge = Admission(Limits(**limits)), Direct(nursery)
        self.shared = Shared(
            party,
            ErrorBoundary(party),
            bridge,
            Timeouts(),
            Metrics(),
            self.admission,
            LiveStreams(party, 1000),
            Touches(party, bridge),
        )

    async def carry_out(self, request, step):
        permit = self.admission.acquire(step.kind, "main")
        return await carry_out(self.shared, permit, request, step, SECONDS)

    def held(self):
        return [kind for kind in StepKind if self.admission.held(kind)]


@pytest.fixture
def world(nursery):
    return World(nursery)


async def test_a_step_has_its_permit_until_it_has_ended(world, nursery):
    world.provider.known = False
    world.provider.open = trio.Event()
    nursery.start_soon(world.carry_out, request(), StartLogin("/"))
    await trio.testing.wait_all_tasks_blocked()
    assert world.held() == [StepKind.LOGIN]
    world.provider.open.set()
    await trio.testing.wait_all_tasks_blocked()
    assert world.held() == []


async def test_what_a_loaded_session_leads_to_has_a_permit_of_its_own_lane(world, nursery):
    world.provider.open = trio.Event()
    nursery.start_soon(world.carry_out, SIGNED_IN, LoadSession())
    await trio.testing.wait_all_tasks_blocked()
    assert world.held() == [StepKind.REFRESH]
    world.provider.open.set()
    await trio.testing.wait_all_tasks_blocked()
    assert world.held() == [] and world.provider.good == {"rt1"}


async def test_a_lane_that_is_full_after_the_session_was_loaded_is_overloaded(nursery):
    world = World(nursery, refresh=1)
    with world.admission.acquire(StepKind.REFRESH, "main"):
        answer = await world.carry_out(SIGNED_IN, LoadSession())
    assert isinstance(answer, Continue), "the token is still good: it is renewed another time"
    assert world.held() == [] and world.provider.good == {"rt0"}


async def test_the_second_step_has_what_is_left_of_the_time(world, autojump_clock):
    world.provider.known = False
    world.provider.open = trio.Event()

    async def slow(key, now):
        await trio.sleep(SECONDS - 2)

    world.store.get = slow
    began = trio.current_time()
    answer = await world.carry_out(SIGNED_IN, LoadSession())
    assert answer.reason == "provider_timeout" and trio.current_time() - began == SECONDS
    assert world.held() == []


@pytest.mark.parametrize(
    ("step", "part"),
    [(LoadSession(), "store"), (Refresh(DUE), "provider")],
    ids=["load", "refresh"],
)
async def test_a_client_that_leaves_leaves_no_permit(world, step, part):
    peer = world.store if part == "store" else world.provider
    peer.open = trio.Event()
    with trio.move_on_after(0):
        await world.carry_out(SIGNED_IN, step)
    peer.open.set()
    await trio.testing.wait_all_tasks_blocked()
    assert world.held() == []
