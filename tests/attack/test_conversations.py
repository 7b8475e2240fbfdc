"""Simultaneous streams in any order, with a provider and a store that hang and fail.

Each message that needs an answer gets one, or its stream is aborted. No user gets another user's
identity, and at the end nothing is left. Hypothesis draws the script of a conversation. It runs on
a real bridge; only gRPC itself is left out.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
import trio
from harness.bridges import BRIDGES
from harness.fault_at_await import message
from harness.memory_peers import MemoryProvider, MemoryStore, nothing
from harness.tokens import ISSUER, NOW, application, cookie_header, pending, request
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import APPLICATION, LIVE, PUBLIC
from extproc.core.device import Device
from extproc.core.errors import Refusal, StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.provider_errors import ProviderUnreachable
from extproc.core.sealing import ENTROPY
from extproc.core.session import Session, SessionId
from extproc.core.session_record import to_record
from extproc.ext_proc.bridge import Bridge
from extproc.ext_proc.servicer import Servicer
from extproc.metrics import Metrics
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions
from extproc.settings import Limits, Timeouts

# Rounds of the event loop, twice as many as a request takes whose peers answer immediately.
TURNS = 24
EXAMPLES = int(os.environ.get("EXTPROC_EXAMPLES", "30"))
APP = application(refresh_margin=30, backchannel_logout=True)
RELOADED = application(refresh_margin=None, backchannel_logout=True)
OTHER = application(name="wiki", url="https://app.example/wiki/")


def session(letter: bytes, **changes: Any) -> Session:
    known = Session(SessionId.of(letter * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", None, NOW + 300, NOW, NOW + 9_000, NOW)  # fmt: skip
    return Session(
        **{name: changes.get(name, getattr(known, name)) for name in Session.__dataclass_fields__}
    )


FRESH = session(b"f")
DUE = session(b"d", refresh_token="rt0", access_issued=NOW - 300, access_expires=NOW)
# Of another application.
FOREIGN = session(b"x")
FETCH = {"sec_fetch_mode": "cors", "sec_fetch_dest": "empty", "accept": "application/json"}
PENDING = pending()


def cookie(known: Session) -> str:
    return f"{APP.cookies.session}={known.id.cookie}"


HEADS = {
    "nobody": (request(**FETCH), {}),
    "navigates": (request(), {}),
    "public": (request("/public/x", **FETCH), {PUBLIC: "1"}),
    "fresh": (request(cookie=cookie(FRESH), **FETCH), {}),
    "due": (request(cookie=cookie(DUE), **FETCH), {}),
    "foreign": (request(cookie=cookie(FOREIGN), **FETCH), {}),
    "live": (request(cookie=cookie(FRESH), upgrade="websocket", **FETCH), {LIVE: "1"}),
    "callback": (request(f"/oauth2/callback?code=code&state={PENDING.state}&iss=https%3A%2F%2Fidp.example", cookie=cookie_header(APP, PENDING)), {}),
    "logout": (request("/oauth2/logout", method="POST", cookie=cookie(DUE), origin="https://app.example", sec_fetch_site="same-origin"), {}),
    "logout token": (request("/oauth2/backchannel-logout", method="POST", content_type="application/x-www-form-urlencoded"), {}),
}  # fmt: skip
MAY_BE_KNOWN = {"fresh", "due", "live"}


def phase(name: str) -> wire.ProcessingRequest:
    message = wire.ProcessingRequest()
    if name == "request_body":
        message.request_body.body = b"logout_token=x"
    elif name:
        getattr(message, name).SetInParent()
    return message


@dataclass
class Stream:
    """A grpc.aio.ServicerContext: one stream, and its outcome."""

    head: str
    # Its session before it began.
    ended_before: bool
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)
    written: list[wire.ProcessingResponse] = field(default_factory=list)
    read_so_far: int = 0
    aborted: bool = False
    left: bool = False
    task: asyncio.Task[None] | None = None

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        return ((APPLICATION, "app"), *HEADS[self.head][1].items())

    async def read(self) -> Any:
        message = await self.queue.get()
        if message is grpc.aio.EOF:
            self.queue.put_nowait(message)
        else:
            self.read_so_far += 1
        return message

    async def write(self, response: wire.ProcessingResponse) -> None:
        await asyncio.sleep(0)
        self.written.append(response)
        await asyncio.sleep(0)

    async def abort(self, code: grpc.StatusCode, details: str) -> None:
        self.aborted = True
        raise grpc.aio.AbortError(details)

    @property
    def answers(self) -> list[str]:
        return [kind for each in self.written if (kind := each.WhichOneof("response")) is not None]

    def check(self) -> None:
        """Assert what is true at any moment."""
        kinds = [each.WhichOneof("response") for each in self.written]
        assert kinds.count(None) <= 1, "Envoy takes one override in a phase"
        assert "immediate_response" not in kinds[:-1], "nothing after an immediate response"
        over = self.head == "live" and kinds[-1:] == ["immediate_response"]
        assert len(self.answers) <= self.read_so_far + over, "no answer that nobody wanted"
        for each in self.written:
            sent = {
                option.header.key
                for option in each.request_headers.response.header_mutation.set_headers
            }
            assert "x-auth-sub" not in sent or (
                self.head in MAY_BE_KNOWN and not self.ended_before
            ), self.head

    def check_over(self) -> None:
        """Assert what is true at the end."""
        self.check()
        assert self.task is not None and self.task.done()
        failed = None if self.task.cancelled() else self.task.exception()
        assert failed is None or isinstance(failed, grpc.aio.AbortError), failed
        if failed is None and not self.left:
            assert self.answers and len(self.answers) >= self.read_so_far, (
                "an end without an answer lets the request through"
            )


class World:
    """A processor, its peers, and the streams so far."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge, self.store, self.provider = bridge, MemoryStore(), MemoryProvider()
        for known, app in ((FRESH, APP), (DUE, APP), (FOREIGN, OTHER)):
            self.store.records[known.id.key] = to_record(app, known, Device(), bytes(2 * ENTROPY))
        self.provider.good.add("rt0")
        self.applications, self.metrics, self.streams, self.ended = (
            {"app": APP},
            Metrics(),
            list[Stream](),
            False,
        )
        party = RelyingParty(self.applications, {"app": self.provider}, StoredSessions(self.store), lambda: NOW, metrics=self.metrics)  # type: ignore[dict-item]  # fmt: skip
        self.server = Servicer(
            party, bridge, Timeouts(), Limits(callback=2, refresh=2, live=2, lookup=4), self.metrics
        )

    async def begins(self, head: str) -> None:
        stream = Stream(head, self.ended)
        self.streams.append(stream)
        stream.task = asyncio.ensure_future(self.server.process(None, stream))  # type: ignore[arg-type]

    async def says(self, which: int, what: str) -> None:
        if self.streams:
            stream = self.streams[which % len(self.streams)]
            head = message(HEADS[stream.head][0]) if what == "head" else None
            stream.queue.put_nowait(grpc.aio.EOF if what == "end" else head or phase(what))

    async def leaves(self, which: int) -> None:
        if self.streams:
            stream = self.streams[which % len(self.streams)]
            assert stream.task is not None
            stream.left = stream.task.cancel() or stream.left

    async def waits(self, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)

    async def works(self, part: str, how: str) -> None:
        """Let a store or provider work, fail or hang from now on.

        What hangs continues when it works again.
        """
        peer: MemoryStore | MemoryProvider = self.store if part == "store" else self.provider
        peer.met = (
            nothing
            if how != "fails"
            else failing(StoreUnavailable if part == "store" else ProviderUnreachable)
        )
        if how == "hangs":
            peer.open = trio.Event() if peer.open.is_set() else peer.open
        else:
            await self.bridge.run(sets(peer.open))

    async def knows(self, remote: bool) -> None:
        self.store.remote, self.provider.known = remote, not remote

    async def reloads(self) -> None:
        self.applications["app"] = RELOADED if self.applications["app"] is APP else APP

    async def ends_sessions(self) -> None:
        self.ended = True
        self.store.records.clear()
        if self.store.open.is_set():
            await self.bridge.run(self.server.live_streams.round)

    async def drains(self) -> None:
        self.server.live_streams.leave()

    async def closes(self) -> None:
        """Let everything work again and all clients disconnect, and assert that nothing is left."""
        await self.works("store", "works")
        await self.works("provider", "works")
        for stream in self.streams:
            if stream.task is not None and not stream.task.done():
                stream.left = True
                stream.task.cancel()
        await asyncio.gather(
            *(stream.task for stream in self.streams if stream.task), return_exceptions=True
        )
        async with asyncio.timeout(30):
            while self.bridge.busy:
                await asyncio.sleep(0.001)
        for stream in self.streams:
            stream.check_over()
        assert not any(count for _, count in self.server.admission.gauges()), (
            self.server.admission.gauges()
        )
        assert not self.store.locks
        assert not self.ended or not {FRESH.id.key, DUE.id.key} & set(self.store.records), (
            "nothing revives"
        )
        assert not self.unanswered()

    def unanswered(self) -> float:
        samples = (sample for family in self.metrics.families() for sample in family.samples)
        counted = (sample for sample in samples if sample.name == "extproc_streams_total")
        return sum(sample.value for sample in counted if sample.labels["outcome"] == "unanswered")


def failing(error: type[Refusal]) -> Callable[[str, str], None]:
    def met(operation: str, when: str) -> None:
        if when == "before":
            raise error("away")

    return met


def sets(event: trio.Event) -> Callable[[], Any]:
    async def work() -> None:
        event.set()

    return work


SAID = (
    "head",
    "head",
    "head",
    "request_body",
    "request_trailers",
    "response_headers",
    "response_trailers",
    "",
    "end",
)
WHICH = st.integers(0, 3)
BEGINS = st.tuples(st.just("begins"), st.sampled_from(sorted(HEADS)))
DONE = (
    BEGINS
    | st.tuples(st.just("says"), WHICH, st.sampled_from(SAID))
    | st.tuples(st.just("says"), WHICH, st.just("head"))
    | st.tuples(st.just("leaves"), WHICH)
    | st.tuples(st.just("waits"), st.integers(1, 30))
    | st.tuples(
        st.just("works"),
        st.sampled_from(["store", "provider"]),
        st.sampled_from(["works", "fails", "hangs"]),
    )
    | st.tuples(st.just("knows"), st.booleans())
    | st.sampled_from([("reloads",), ("ends_sessions",), ("drains",)])
)
SCRIPTS = st.tuples(st.lists(BEGINS, min_size=1, max_size=3), st.lists(DONE, max_size=25))


class Errors(logging.Handler):
    """Log lines that report a bug."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "internal_error":
            self.lines.append(str(record.exc_info))


@pytest.mark.attack("EXTP-12")
@given(SCRIPTS)
@settings(max_examples=EXAMPLES, deadline=None)
def test_whatever_is_said_in_whichever_order_each_message_has_its_answer_or_its_stream_is_aborted(
    script,
) -> None:
    first, then = script
    errors = Errors()

    async def body(bridge: Bridge) -> None:
        world = World(bridge)
        try:
            for name, *arguments in (
                *first,
                *((("says", n, "head")) for n in range(len(first))),
                *then,
            ):
                await getattr(world, name)(*arguments)
                for stream in world.streams:
                    stream.check()
        finally:
            await world.closes()

    logging.getLogger("extproc").addHandler(errors)
    try:
        BRIDGES["guest"](body)
    finally:
        logging.getLogger("extproc").removeHandler(errors)
    assert not errors.lines


@pytest.mark.parametrize("head", HEADS)
def test_a_stream_that_is_left_at_any_turn_of_the_loop_leaves_nothing(head: str) -> None:
    async def body(bridge: Bridge) -> None:
        for turns in range(TURNS):
            world = World(bridge)
            await world.knows(remote=turns % 2 == 1)
            await world.begins(head)
            await world.says(0, "head")
            await world.waits(turns // 2)
            await world.leaves(0)
            await world.closes()

    BRIDGES["guest"](body)
