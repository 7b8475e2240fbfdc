"""The last use of sessions, recorded in the background."""

import trio
from harness.fault_at_await import Direct
from harness.memory_peers import MemoryProvider, MemoryStore
from harness.tokens import ISSUER, NOW, application, request

from extproc.core.errors import StoreUnavailable
from extproc.core.oidc.claims import Claims
from extproc.core.session import Session, SessionId
from extproc.ext_proc.touches import MAX_TOUCHES, Touches
from extproc.relying_party.relying_party import RelyingParty
from extproc.sessions.stored import StoredSessions

SESSION = Session(
    SessionId.of(b"s" * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", None, NOW + 9, NOW, NOW + 9_000, NOW
)  # fmt: skip


class CountingStore(MemoryStore):
    """A store that counts the touches that reached it."""

    def __init__(self):
        super().__init__()
        self.touched = 0
        self.open = trio.Event()

    async def touch(self, key, now):
        await super().touch(key, now)
        self.touched += 1


def relying_party(store):
    return RelyingParty(
        {"app": application()}, {"app": MemoryProvider()}, StoredSessions(store), lambda: NOW
    )


async def test_at_most_so_many_are_written_at_a_time_and_others_are_left_out():
    store = CountingStore()
    async with trio.open_nursery() as nursery:
        touches = Touches(relying_party(store), Direct(nursery))
        for _ in range(MAX_TOUCHES + 5):
            touches.record(request(), SESSION)
        store.open.set()
    assert store.touched == MAX_TOUCHES


async def test_there_is_room_again_when_writes_have_ended_or_failed():
    store = CountingStore()
    store.open.set()

    def fails(operation, when):
        raise StoreUnavailable("away")

    store.met = fails
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            touches = Touches(relying_party(store), Direct(nursery))
            for _ in range(MAX_TOUCHES):
                touches.record(request(), SESSION)
    store.met = lambda operation, when: None
    async with trio.open_nursery() as nursery:
        touches = Touches(relying_party(store), Direct(nursery))
        touches.record(request(), SESSION)
    assert store.touched == 1
