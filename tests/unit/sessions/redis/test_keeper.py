"""The task that keeps connections: what is missing, what is logged, and when it looks again."""

import pytest
import trio
from coredis.exceptions import ReadOnlyError
from harness.redis import PATIENT
from harness.resp import serving

from extproc.addresses import Address
from extproc.sessions.redis.connection import Login
from extproc.sessions.redis.errors import Unreachable
from extproc.sessions.redis.keeper import Keeper
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.topology import Single

GONE = Address("127.0.0.1", 1)
LIMITS = Limits(operation=PATIENT, connect=PATIENT)


class World:
    """One server for a keeper, and what its probe of writes meets."""

    def __init__(self, address: Address) -> None:
        self.error: Exception | None = None
        self.probed = trio.Event()
        self._address = address
        self.keeper = Keeper(self._single, self._probe, PATIENT)

    def _single(self, nursery: trio.Nursery) -> Single:
        return Single(self._address, Login(), LIMITS, nursery)

    async def _probe(self) -> None:
        self.probed.set()
        self.probed = trio.Event()
        if self.error is not None:
            raise self.error

    async def next_look(self) -> None:
        """Until a look that began after this has probed, and its outcome is known."""
        for _ in range(2):
            probed = self.probed
            self.keeper.suspect()
            await probed.wait()


@pytest.fixture
async def world():
    async with serving(lambda _: b"+PONG\r\n") as address:
        made = World(address)
        yield made
        await made.keeper.aclose()


async def test_before_the_first_look_there_is_no_server(world):
    assert world.keeper.missing == "it was not connected to yet"
    with pytest.raises(Unreachable, match="it was not connected to yet"):
        world.keeper.topology()
    await world.keeper.first_look()
    assert world.keeper.missing is None
    assert len(world.keeper.topology().masters()) == 1


async def test_what_is_missing_is_logged_when_it_changes_and_only_then(world, caplog):
    caplog.set_level("INFO", "extproc")
    await world.keeper.first_look()
    world.error = ReadOnlyError("x")
    await world.next_look()
    await world.next_look()
    assert "READONLY" in world.keeper.missing
    world.error = None
    await world.next_look()
    assert world.keeper.missing is None
    lines = [line.message for line in caplog.records]
    assert lines == ["store_ready", "store_not_ready", "store_ready"]


async def test_a_bug_in_a_look_is_reported_and_the_looks_go_on(world, caplog):
    world.error = KeyError("x")
    await world.keeper.first_look()
    assert world.keeper.missing is not None
    assert "store_failed" in [line.message for line in caplog.records]
    world.error = None
    await world.next_look()
    assert world.keeper.missing is None


async def test_a_server_that_is_away_holds_up_the_first_look_no_longer_than_it_takes():
    world = World(GONE)
    await world.keeper.first_look()
    assert "127.0.0.1:1" in world.keeper.missing
    await world.keeper.aclose()


async def test_after_its_end_it_is_closed_and_an_end_without_a_start_is_one_too(world):
    await world.keeper.first_look()
    await world.keeper.aclose()
    assert world.keeper.missing == "it was closed"
    with pytest.raises(Unreachable):
        world.keeper.topology()
    await World(GONE).keeper.aclose()
