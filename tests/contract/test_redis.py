"""Redis when it is not well: slow, restarted, full, read-only, failing over. Only success or
StoreUnavailable, never "no session".
"""

import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trio
from harness.fault_proxy import Proxy, proxied
from harness.redis import PATIENT, Cluster, RedisServer, Replicated, Servers
from harness.resp import serving

from extproc.addresses import Address
from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.epoch import Epoch
from extproc.sessions.redis import scripts
from extproc.sessions.redis.factory import redis_store
from extproc.sessions.redis.keeper import LOOK_EVERY
from extproc.sessions.redis.records import Keys
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.store import RedisStore
from extproc.sessions.stored import StoredSessions
from extproc.settings import RedisSettings

# Redis goes by a clock of its own, and a whole run takes longer than some of what is stored: an
# hour ahead
NOW = int(time.time()) + 3600
ALICE = b"alice".ljust(32)


def record(
    key: bytes = b"1", sealed: bytes = b"sealed", tags: tuple[bytes, ...] = (ALICE,)
) -> Record:
    return Record(key.ljust(32), sealed, NOW + 1000, NOW, b"entry", tags)


@asynccontextmanager
async def opened(
    *servers: RedisServer | Proxy | str, **settings: object
) -> AsyncIterator[RedisStore]:
    """A store that has looked for its servers once."""
    addresses = [str(getattr(server, "address", server)) for server in servers]
    # a busy machine is no silent server
    settings = {"deadline": PATIENT, "connect": PATIENT, **settings}
    store = redis_store(
        RedisSettings(kind="redis", servers=tuple(map(address, addresses)), **settings), "store"
    )  # type: ignore[arg-type]
    await store.start()
    with trio.fail_after(60):
        while store.missing == "it was not connected to yet":
            await trio.sleep(0.01)
    try:
        yield store
    finally:
        await store.aclose()


def address(text: str) -> Address:
    host, _, port = text.partition(":")
    return Address(host, int(port))


async def until(check: Callable[[], object], seconds: float = 60) -> None:
    with trio.fail_after(seconds):
        while not check():
            await trio.sleep(0.02)


async def well(store: RedisStore, seconds: float = 60) -> None:
    await until(lambda: store.missing is None, seconds)


@pytest.fixture
def server(tmp_path: Path):
    """One that keeps its data over a restart."""
    with RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always") as running:
        yield running


# -- away, and back --------------------------------------------------------------------------------


@pytest.mark.attack("REL-17")
async def test_after_a_restart_the_first_request_on_an_idle_connection_is_answered(server):
    async with opened(server) as store:
        await store.put(record())
        server.kill()
        server.start()
        await well(store)
        assert await store.get(record().key, NOW) == record()
        await store.put(record(b"2"))  # the scripts, which the new process has never seen


@pytest.mark.attack("REL-17")
@pytest.mark.parametrize(
    ("sent", "command", "done"),
    [
        (lambda store: store.get(record().key, NOW), b"HMGET", record()),
        (lambda store: store.put(record(b"2")), scripts.WRITE.sha.encode(), None),
        (
            lambda store: store.use_once(b"attempt", NOW + 60, NOW),
            scripts.USE_ONCE.sha.encode(),
            True,
        ),
        (lambda store: store.lock(b"session", b"me", 30, NOW), scripts.LOCK.sha.encode(), True),
        (lambda store: store.end(ALICE, NOW), b"ZRANGE", 1),
    ],
    ids=["get", "put", "claim", "lock", "end"],
)
async def test_a_request_whose_connection_dies_under_it_is_sent_once_more_and_done_once(
    server, sent, command, done
):
    async with opened(server) as earlier:  # the server knows the scripts
        for work in everything(earlier):
            await work()
        server.command("FLUSHALL")
    async with proxied(server.port) as proxy, opened(proxy) as store:
        await store.put(record())
        before = proxy.seen(command)
        proxy.reset_after(command)
        assert await sent(store) == done
        assert proxy.seen(command) == before + 2


async def test_an_attempt_is_still_the_caller_s_when_the_answer_to_its_claim_was_lost(server):
    async with proxied(server.port) as proxy, opened(proxy) as store, opened(server) as other:
        await store.use_once(b"earlier", NOW + 60, NOW)
        proxy.reset_after(scripts.USE_ONCE.sha.encode())
        assert await store.use_once(b"attempt", NOW + 60, NOW)
        assert not await other.use_once(b"attempt", NOW + 60, NOW) and not await store.use_once(
            b"attempt", NOW + 60, NOW
        )


@pytest.mark.attack("REL-15")
async def test_while_it_is_down_all_is_unavailable_and_all_is_there_when_it_is_back(server):
    async with opened(server) as store:
        await store.put(record())
        server.kill()
        for work in everything(store):
            with pytest.raises(StoreUnavailable):
                await work()
        await until(lambda: store.missing is not None)
        server.start()
        await well(store, 60)
        assert await store.get(record().key, NOW) == record()


def everything(store: RedisStore) -> tuple[Callable[[], Awaitable[object]], ...]:
    key = record().key
    return (
        lambda: store.get(key, NOW),
        lambda: store.put(record()),
        lambda: store.put(record(tags=()), replaces=b"old".ljust(32)),
        lambda: store.touch(key, NOW),
        lambda: store.delete(key),
        lambda: store.tagged(ALICE, NOW),
        lambda: store.end(ALICE, NOW),
        lambda: store.page(None, 10, NOW),
        lambda: store.lock(key, b"me", 5, NOW),
        lambda: store.unlock(key, b"me"),
        lambda: store.replace(record(), b"me", NOW),
        lambda: store.use_once(b"attempt", NOW + 500, NOW),
        lambda: store.revoke_before(key, NOW, NOW + 500),
        lambda: store.revoked_before([key], NOW),
    )


@pytest.mark.attack("REL-16")
async def test_a_server_that_is_silent_is_given_up_and_then_not_asked_until_it_answers(server):
    async with proxied(server.port) as proxy, opened(proxy, deadline=1) as store:
        await store.put(record())
        await store.get(record().key, NOW)
        before = proxy.seen(b"HMGET")
        server.process.send(signal.SIGSTOP)
        for _ in range(3 * Limits().failures):
            with trio.fail_after(60), pytest.raises(StoreUnavailable):
                await store.get(record().key, NOW)
        assert 0 < proxy.seen(b"HMGET") - before <= Limits().failures
        at_once = False
        with trio.CancelScope() as over:  # whatever waits is cancelled
            over.cancel()
            with pytest.raises(StoreUnavailable):
                await store.get(record().key, NOW)
            at_once = True
        assert at_once
        await until(lambda: store.missing is not None)
        server.process.send(signal.SIGCONT)
        await well(store, 60)
        assert await store.get(record().key, NOW) == record()


@pytest.mark.attack("REL-16")
async def test_one_slow_answer_costs_others_nothing_but_their_turn(server):
    async with proxied(server.port) as proxy, opened(proxy, deadline=1) as store:
        await store.put(record())
        proxy.hold(b"HMGET")
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await store.get(record().key, NOW)
        proxy.stall()
        # on a new connection: the old one is as good as lost
        assert await store.get(record().key, NOW) == record()


async def test_a_connection_that_is_lost_under_many_requests_is_one_failure_and_all_are_answered(
    server,
):
    async with proxied(server.port) as proxy, opened(proxy) as store:
        await store.put(record())
        answers = []

        async def ask() -> None:
            answers.append(await store.get(record().key, NOW))

        proxy.hold(b"HMGET")
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(ask)
            await proxy.held.wait()
            proxy.reset()
            proxy.release()
        assert answers == [record()] * 100


# -- there, and unwilling --------------------------------------------------------------------------


async def test_a_full_server_refuses_writes_reads_go_on_and_it_is_said(server):
    async with opened(server) as store:
        await store.put(record())
        server.config("maxmemory-policy", "noeviction")
        server.config("maxmemory", 1)
        with pytest.raises(StoreUnavailable, match="OOM"):
            await store.put(record(b"2"))
        assert await store.get(record().key, NOW) == record()
        await until(lambda: "OOM" in (store.missing or ""))
        server.config("maxmemory", 0)
        await well(store)
        await store.put(record(b"2"))


@pytest.mark.threat("ended-session")
async def test_a_server_that_comes_back_with_an_old_copy_of_its_data_brings_no_session_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with RedisServer(tmp_path) as server:
        async with opened(server) as store:
            moments = iter((NOW, NOW + 120, NOW + 121))
            epoch = Epoch(StoredSessions(store), None, lambda: next(moments))
            await store.put(record())
            await epoch.look()
            server.command("SAVE")
            await store.delete(record().key)
            await epoch.look()
            server.kill()
            server.start()
            assert await store.get(record().key, NOW) is not None, "so it has to be found out"
            await epoch.look()
            assert await store.get(record().key, NOW) is None
    assert "store_went_back" in caplog.text


async def test_a_read_only_replica_refuses_writes_and_it_is_said(server, tmp_path):
    with RedisServer(tmp_path) as master:
        async with opened(server) as store:
            server.command("REPLICAOF", "127.0.0.1", master.port)
            with pytest.raises(StoreUnavailable, match="READONLY"):
                await store.put(record())
            await until(lambda: "READONLY" in (store.missing or ""))
            server.command("REPLICAOF", "NO", "ONE")
            await well(store)
            await store.put(record())


async def test_a_wrong_password_at_the_start_names_its_setting_and_the_store_comes_when_it_is_right(
    server, caplog
):
    caplog.set_level("INFO", "extproc")
    server.command("ACL", "SETUSER", "extproc", "on", ">another", "~*", "+@all")
    async with opened(server, username="extproc", password="the-password") as store:
        assert "store.password" in (store.missing or "") and "WRONGPASS" in (store.missing or "")
        with pytest.raises(StoreUnavailable, match=r"store\.password"):
            await store.get(record().key, NOW)
        server.command("ACL", "SETUSER", "extproc", "resetpass", ">the-password")
        await well(store)
        assert await store.get(record().key, NOW) is None
    assert [line.message for line in caplog.records] == ["store_not_ready", "store_ready"]
    assert "the-password" not in caplog.text + str([line.__dict__ for line in caplog.records])


async def test_no_password_where_one_is_needed_names_its_setting(tmp_path):
    with RedisServer(tmp_path).require("secret") as server:
        async with opened(server) as store:
            assert "store.password" in (store.missing or "")


async def test_rights_that_lack_are_said(server):
    server.command("ACL", "SETUSER", "extproc", "on", ">pw", "~other:*", "+@all")
    async with opened(server, username="extproc", password="pw") as store:
        assert "NOPERM" in (store.missing or "")
        with pytest.raises(StoreUnavailable, match="NOPERM"):
            await store.get(record().key, NOW)


async def test_a_certificate_of_another_authority_is_refused(redis_servers: Servers):
    secured = redis_servers.secured
    async with opened(
        secured, tls=True, username="extproc", password=redis_servers.password
    ) as store:
        assert "store.ca_file" in (store.missing or "")
        with pytest.raises(StoreUnavailable):
            await store.get(record().key, NOW)


@pytest.mark.parametrize(
    "reply",
    [
        b"-LOADING Redis is loading the dataset in memory\r\n",
        b"-MISCONF Redis is configured to save RDB snapshots\r\n",
        b"-NOREPLICAS Not enough good replicas to write.\r\n",
        b"-MASTERDOWN Link with MASTER is down\r\n",
        b"-CLUSTERDOWN The cluster is down\r\n",
        b"-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
        b"-MOVED 1 127.0.0.1:1\r\n",
        b"-ASK 1 127.0.0.1:1\r\n",
        b"-BUSY Redis is busy running a script.\r\n",
        b"-ERR sealed-secret\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
    ],
    ids=lambda reply: reply[1:12].decode().split(" ")[0] or "hangs up",
)
async def test_whatever_else_a_server_says_is_unavailable_and_its_words_stay_out(reply):
    def answer(words: list[bytes]) -> bytes | None:
        if not reply:
            return None
        return b"+PONG\r\n" if words[0] == b"PING" else reply

    async with serving(answer) as address, opened(str(address)) as store:
        for work in everything(store):
            with pytest.raises(StoreUnavailable) as refused:
                await work()
            assert "secret" not in refused.value.detail


# -- one at a time, in any order -------------------------------------------------------------------


async def test_a_session_that_is_on_its_way_when_its_user_is_signed_out_is_never_there(server):
    async with proxied(server.port) as proxy, opened(proxy) as slow, opened(server) as other:
        await slow.put(record(b"0", tags=()))
        proxy.hold(scripts.WRITE.sha.encode())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow.put, record())
            await proxy.held.wait()
            assert await other.end(ALICE, NOW) == 0
            proxy.release()
        assert await other.get(record().key, NOW) is None
        await other.put(record())  # the next login is another write
        assert await other.get(record().key, NOW) == record()


async def test_no_session_gets_lost_from_its_tag_whatever_happens_at_the_same_time(
    redis_servers: Servers,
):
    keys = [b"k%d" % number for number in range(30)]
    async with opened(redis_servers.redis, key_prefix="torn:") as store:

        async def sign_in(key: bytes) -> None:
            for _ in range(5):
                await store.put(record(key))
                await store.tagged(ALICE, NOW)

        async with trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(sign_in, key)
            for _ in range(10):
                await store.end(ALICE, NOW)
        await store.end(ALICE, NOW)
        assert [await store.get(record(key).key, NOW) for key in keys] == [None] * len(keys)


@pytest.mark.attack("REL-19")
async def test_requests_cancelled_at_random_never_get_another_one_s_answer(redis_servers: Servers):
    users = {b"u%d" % number: b"of u%d" % number for number in range(200)}
    chance, wrong, answers = random.Random(19), [], 0
    async with opened(redis_servers.redis, key_prefix="cancelled:") as store:
        for key, sealed in users.items():
            await store.put(record(key, sealed, ()))

        async def one(key: bytes, sealed: bytes, patience: float) -> None:
            nonlocal answers
            with trio.move_on_after(patience):
                found = await store.get(record(key).key, NOW)
                answers += 1
                if found != record(key, sealed, ()):
                    wrong.append((key, found))

        for _ in range(20):
            async with trio.open_nursery() as nursery:
                for key, sealed in users.items():
                    nursery.start_soon(
                        one, key, sealed, chance.choice((0, 0.0005, 0.002, 0.01, 10))
                    )
        assert not wrong and 500 < answers < 4000


async def test_everything_in_the_server_goes_by_itself(server):
    async with opened(server) as store:
        await store.put(record())
        await store.lock(record().key, b"me", 30, NOW)
        await store.replace(record(sealed=b"new"), b"me", NOW)
        await store.put(record(b"2"))
        await store.end(ALICE, NOW)
        await store.put(record(b"3"))
        for work in everything(store):
            await work()
        await store.put(record(b"4"))
        await store.lock(record().key, b"me", 30, NOW)
        keys = server.command("KEYS", "*")
        assert {key.split(":")[1] for key in keys} == {
            "session",
            "tag",
            "lock",
            "claim",
            "buried",
            "ended",
            "probe",
        }
        assert all(0 < server.command("PTTL", key) <= 3_600_000 + 1_001_000 for key in keys)


async def test_what_is_past_its_end_leaves_a_tag(server):
    async with opened(server) as store:
        await store.put(replace(record(b"old"), expires=int(time.time()) - 5))
        await store.put(record())
        tag = f"extproc:tag:{{{ALICE.hex()}}}"
        assert server.command("ZCARD", tag) == 1


# -- failing over ----------------------------------------------------------------------------------


@dataclass
class Load:
    """People who sign in and come back, at about 200 requests a second, and what they met."""

    store: RedisStore
    kept: list[Record] = field(default_factory=list)
    refused: int = 0
    after: int = 0

    async def person(self, number: int) -> None:
        for visit in range(10_000):
            mine = record(b"p%d-%d" % (number, visit))
            with contextlib.suppress(StoreUnavailable):
                await self.store.put(mine)
                self.kept.append(mine)
            await trio.sleep(0.02)  # by time: at about that rate
            chosen = random.choice(self.kept) if self.kept else mine
            try:
                assert await self.store.get(chosen.key, NOW) == chosen or chosen not in self.kept
                self.after += 1
            except StoreUnavailable:
                self.refused += 1
            await trio.sleep(0.02)  # by time: at about that rate

    @asynccontextmanager
    async def under(self) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(self.person, number)
            await until(lambda: len(self.kept) > 50)
            yield
            self.after = 0
            await until(lambda: self.after > 50)
            nursery.cancel_scope.cancel()

    async def check(self) -> None:
        """Every session that was acknowledged is there."""
        lost = [one for one in self.kept if await self.found(one) != one]
        assert not lost, f"{len(lost)} of {len(self.kept)}"

    async def found(self, one: Record) -> Record | None:
        with trio.fail_after(60):
            while True:
                try:
                    return await self.store.get(one.key, NOW)
                except StoreUnavailable:
                    await trio.sleep(0.1)


@pytest.mark.heavy
async def test_a_failover_by_sentinel_under_load_loses_no_session_and_sentinels_that_are_away_take_no_master_away(
    tmp_path,
):
    with Replicated(tmp_path) as replicated:
        async with opened(*replicated.sentinels, mode="sentinel", master=replicated.name) as store:
            load = Load(store)
            async with load.under():
                old = replicated.master()
                old.kill()
                await until(lambda: load.refused > 0)
                await until(lambda: replicated.master() is not old, 60)
                await well(store, 60)
            await load.check()
            for sentinel in replicated.watching:
                sentinel.kill()
            await trio.sleep(LOOK_EVERY + 0.5)  # it looked for them
            assert store.missing is None and await load.found(load.kept[0]) == load.kept[0]


async def test_a_master_that_no_sentinel_knows_is_said(redis_servers: Servers):
    replicated = redis_servers.replicated
    async with opened(*replicated.sentinels, mode="sentinel", master="another") as store:
        assert "no sentinel knows a master named another" in (store.missing or "")
        with pytest.raises(StoreUnavailable, match="another"):
            await store.get(record().key, NOW)


async def test_a_write_that_no_replica_follows_counts_and_is_logged(server, caplog):
    async with proxied(server.port) as proxy, opened(proxy, replicas=1) as store:
        for number in range(20):
            await store.put(record(b"%d" % number))
        # once for the script as it is not known, once for it: then nobody waits for a while
        assert proxy.seen(b"WAIT") <= 2
        assert [line.message for line in caplog.records].count("store_not_replicated") == 1
        assert await store.get(record(b"0").key, NOW) is not None


@pytest.mark.heavy
async def test_a_failover_in_a_cluster_under_load_loses_no_session(tmp_path):
    with Cluster(tmp_path) as cluster:
        async with opened(*cluster.addresses[:3], mode="cluster") as store:
            load = Load(store)
            async with load.under():
                slot = f"extproc:session:{{{record(b'p0-0').key.hex()}}}".encode()
                old = cluster.owner(slot)
                old.kill()
                await until(lambda: load.refused > 0)
                await until(lambda: cluster.owner(slot) is not old, 60)
                await well(store, 60)
            await load.check()


async def test_slots_that_move_are_followed(redis_servers: Servers):
    cluster = redis_servers.cluster
    prefix = f"{os.urandom(4).hex()}:"
    async with opened(cluster.addresses[0], mode="cluster", key_prefix=prefix) as store:
        await store.put(record())
        where = Keys(prefix.encode()).session(record().key)
        old = cluster.owner(where)
        new = next(server for server in cluster.masters if server is not old)
        slot = old.command("CLUSTER", "KEYSLOT", where)
        ids = {server: server.command("CLUSTER", "MYID") for server in (old, new)}
        new.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[old])
        old.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[new])
        assert await store.get(record().key, NOW) == record()  # not moved yet
        for key in old.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            old.command("MIGRATE", "127.0.0.1", new.port, key, 0, 5000)
        assert await store.get(record().key, NOW) == record()  # ASK
        await store.touch(record().key, NOW + 60)
        for server in cluster.masters:
            server.command("CLUSTER", "SETSLOT", slot, "NODE", ids[new])
        assert (await store.get(record().key, NOW)).touched == NOW + 60  # MOVED
        assert await store.end(ALICE, NOW) == 1
