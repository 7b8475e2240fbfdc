"""The exception boundary: refusals are answers, and bugs are a 500 without their text."""

import pytest
import trio
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.tokens import ISSUER, NOW, Signer, application, request

from extproc.core.decisions import (
    BackChannelLogout,
    Continue,
    LoadSession,
    ReadBody,
    Refresh,
    Respond,
    StartLogin,
)
from extproc.core.device import Device
from extproc.core.errors import Overloaded, StoreUnavailable
from extproc.core.http import Request
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.logout_token import EVENT
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.ext_proc.codec import RequestHead
from extproc.ext_proc.error_boundary import ErrorBoundary
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions

APP = application(refresh_margin=30, backchannel_logout=True)
DUE = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt0", NOW + 9, NOW - 400, NOW + 9_000, NOW
)  # fmt: skip
SIGNED_IN = {"cookie": f"{APP.cookies.session}={DUE.id.cookie}"}
LOGOUT = request(
    "/oauth2/backchannel-logout", method="POST", content_type="application/x-www-form-urlencoded"
)


class World:
    """A boundary, and the peers behind it."""

    def __init__(self, app=APP):
        self.store, self.provider = MemoryStore(), MemoryProvider()
        self.store.records[DUE.id.key] = to_record(APP, DUE, Device(), bytes(2 * ENTROPY))
        self.provider.good.add("rt0")
        party = RelyingParty(
            {"app": app}, {"app": self.provider}, StoredSessions(self.store), lambda: NOW
        )
        self.boundary = ErrorBoundary(party)

    def fails(self, error):
        def met(operation, when):
            raise error

        self.store.met = met


def head(request: Request) -> RequestHead:
    return RequestHead(request, end_of_stream=True, grpc=False, live=False)


def step(world, request):
    return world.boundary.step(head(request))


def test_what_needs_no_waiting_is_answered():
    world = World()
    answer = step(world, request())
    assert isinstance(answer, Respond) and (answer.status, answer.reason) == (303, "login_started")
    script = request(accept="application/json", sec_fetch_mode="cors", sec_fetch_dest="empty")
    answer = step(world, script)
    assert (answer.status, answer.reason) == (401, "login_required")


def test_what_needs_io_is_a_step():
    world = World()
    assert isinstance(step(world, request(**SIGNED_IN)), Refresh)
    world.provider.known = False
    assert isinstance(step(world, request()), StartLogin)
    world.store.remote = True
    assert isinstance(step(world, request(**SIGNED_IN)), LoadSession)


def test_a_logout_of_the_provider_is_decided_with_its_body():
    world = World()
    assert isinstance(step(world, LOGOUT), ReadBody)
    token = Signer().sign(
        {
            "iss": ISSUER,
            "aud": "gateway",
            "iat": NOW,
            "exp": NOW + 60,
            "jti": "1",
            "events": {EVENT: {}},
            "sid": "s1",
        }
    )
    decision = world.boundary.read(head(LOGOUT), f"logout_token={token}".encode())
    assert decision == BackChannelLogout(token)
    # Junk is refused here, before it takes a permit.
    answer = world.boundary.read(head(LOGOUT), b"logout_token=x.y.z")
    assert (answer.status, answer.reason) == (400, "logout_token_malformed")
    answer = world.boundary.read(head(LOGOUT), b"nothing")
    assert (answer.status, answer.reason) == (400, "invalid_logout_request")


def test_a_full_lane_is_a_503_and_for_a_token_that_is_still_good_no_obstacle():
    world = World()
    error = Overloaded("the lane is full")
    answer = world.boundary.overloaded(request(), StartLogin("/"), error)
    assert (answer.status, answer.reason, answer.detail) == (503, "overloaded", "the lane is full")
    answer = world.boundary.overloaded(request(**SIGNED_IN), Refresh(DUE), error)
    assert isinstance(answer, Continue) and answer.reason == "session"


async def test_work_that_takes_too_long_is_refused(autojump_clock):
    world = World()
    world.provider.known = False
    world.provider.open = trio.Event()
    began = trio.current_time()
    answer = await world.boundary.perform(request(), StartLogin("/"), 7)
    assert (answer.reason, answer.detail) == ("provider_timeout", "no answer within 7 s")
    assert trio.current_time() - began == 7


async def test_no_time_that_is_left_is_a_timeout_and_no_error(autojump_clock):
    world = World()
    answer = await world.boundary.perform(request(**SIGNED_IN), Refresh(DUE), -1.0)
    assert answer.reason == "provider_timeout"


async def test_a_session_that_is_loaded_leads_to_an_answer_or_a_further_step():
    world = World()
    step = await world.boundary.load_session(request(**SIGNED_IN), LoadSession(), 7)
    assert step == Refresh(DUE)
    answer = await world.boundary.load_session(request(), LoadSession(), 7)
    assert answer.reason == "login_started"


async def test_a_store_that_fails_is_a_refusal():
    world = World()
    world.fails(StoreUnavailable("away"))
    answer = await world.boundary.load_session(request(**SIGNED_IN), LoadSession(), 7)
    assert (answer.status, answer.reason) == (503, "store_unavailable")


async def test_a_bug_is_a_500_whose_text_reaches_no_client(caplog):
    world = World()
    world.fails(LookupError("SECRET"))
    answer = await world.boundary.load_session(request(**SIGNED_IN), LoadSession(), 7)
    assert (answer.status, answer.reason, answer.detail) == (500, "internal_error", "LookupError")
    assert "SECRET" not in repr(answer)
    assert [record.getMessage() for record in caplog.records] == ["internal_error"]


async def test_a_client_that_leaves_cancels_the_work():
    world = World()
    world.provider.open = trio.Event()
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.boundary.load_session(request(**SIGNED_IN), LoadSession(), 7)
        pytest.fail("it went on")
    assert scope.cancelled_caught


def test_a_refusal_that_cannot_be_shown_is_a_500_all_the_same(caplog):
    """What is no request fails within the refusal itself."""
    answer = World().boundary.refuse(None, StoreUnavailable("x"))
    assert (answer.status, answer.reason, answer.page) == (500, "internal_error", None)
    assert [record.getMessage() for record in caplog.records] == ["internal_error"]
