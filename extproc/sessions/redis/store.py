"""The store of several machines, in Redis or Valkey: one server, a master that Sentinel names, or a
cluster.

The server lets every key expire (records.py has their names). The entries of a session in its tags
are written before the session itself, so `end` finds each session that exists or is on its way. A
session that exists is deleted. For each entry, `end` leaves a mark under the entry's WRITE, a
random word of one put, after which that put writes nothing. So a session is either ended, or was
written after `end` had looked. An entry without a session belongs to no user: readers skip it, and
it expires when the session would have. (A reader that removed it would tear a session that is
being written at this moment from its tag.)
"""

import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import trio

from extproc.concurrency import run_all
from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.redis import scripts
from extproc.sessions.redis.client import Client
from extproc.sessions.redis.connection import Reply
from extproc.sessions.redis.records import (
    FIELDS,
    OUTER_FIELDS,
    REPLACED,
    WRITE_BYTES,
    Keys,
    outer_record_of,
    packed_tags,
    record_of,
    revocation_at,
    session_key,
    tag_entries,
    unpacked_tags,
    values_of,
)
from extproc.sessions.redis.scripts import Script
from extproc.sessions.redis.server import Limits
from extproc.sessions.redis.topology import Topology
from extproc.sessions.store import LISTED, Page, Replaced, WouldBlock

T = TypeVar("T")
# Milliseconds for which a mark stops a write that came too late; far longer than one is on its way.
ENDED_MS = 60_000
# Commands that are sent at the same time.
SIDE_BY_SIDE = 50
DEFAULTS = Limits()


class RedisStore:
    """A SessionStore in Redis or Valkey.

    It connects at start(), or else at the first operation.
    """

    def __init__(
        self,
        topology: Callable[[trio.Nursery], Topology],
        prefix: str = "extproc:",
        replicas: int = 0,
        limits: Limits = DEFAULTS,
    ) -> None:
        """
        Args:
            topology: makes the servers, whose connections live in the nursery.
            prefix: of every key.
            replicas: how many replicas an important write waits for, a short time.
            limits: of connections and operations.
        """
        self._keys = Keys(prefix.encode())
        self._replicas = replicas
        self._client = Client(topology, limits, self._keys.prefix)

    async def start(self) -> None:
        """Connect, and look from then on whether the servers are there."""
        self._client.start()

    @property
    def missing(self) -> str | None:
        return self._client.missing

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- records -----------------------------------------------------------------------------------

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        raise WouldBlock

    async def get(self, key: bytes, now: int) -> Record | None:
        return await self._read(now, key)

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        until = await self._client.begin()
        write = secrets.token_bytes(WRITE_BYTES)
        await self._tag(record, write, until)
        keys = (self._keys.session(record.key), self._keys.ended(record.key, write))
        await self._write(scripts.WRITE, keys, write, *values_of(record), until=until)
        # Deleted last: if the login fails before, the user keeps the earlier session.
        if replaces is not None:
            await self._delete(replaces, until)

    async def replace(self, record: Record, owner: bytes, now: int) -> Replaced:
        until = await self._client.begin()
        await self._tag(record, REPLACED, until)
        keys = (self._keys.session(record.key), self._keys.lock(record.key))
        values = (owner, *values_of(record))
        answer = await self._write(scripts.REPLACE, keys, *values, until=until)
        if answer == 1:
            return Replaced.WRITTEN
        return Replaced.NOT_MINE if answer == 2 else Replaced.GONE

    async def touch(self, key: bytes, now: int) -> None:
        await self._client.script(scripts.TOUCH, (self._keys.session(key),), now)

    async def delete(self, key: bytes) -> None:
        await self._delete(key, await self._client.begin())

    async def tagged(self, tag: bytes, now: int, limit: int = LISTED) -> tuple[Record, ...]:
        # A session that was replaced has two entries.
        entries = await self._entries(tag, newest=2 * limit)
        keys = list(dict.fromkeys(key for key, _ in entries))[:limit]
        records = await _side_by_side(partial(self._read_outer, now), keys)
        carrying = [record for record in records if record is not None and tag in record.tags]
        return tuple(sorted(carrying, key=lambda record: record.touched, reverse=True))

    async def tagged_page(self, tag: bytes, after: bytes | None, limit: int, now: int) -> Page:
        # By the order of keys, because ranks change while others come and go.
        entries = await self._entries(tag)
        known = sorted({key for key, _ in entries if key > (after or b"")})
        keys = known[:limit]
        records = await _side_by_side(partial(self._read_outer, now), keys)
        carrying = [record for record in records if record is not None and tag in record.tags]
        return Page(tuple(carrying), keys[-1] if len(known) > limit else None)

    async def end(self, tag: bytes, now: int, spare: Collection[bytes] = ()) -> int:
        ending = [entry for entry in await self._entries(tag) if entry[0] not in spare]
        return sum(await _side_by_side(partial(self._end, tag, now), ending))

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        """List records by one step of SCAN; `after` is the server's number, and its cursor."""
        server, cursor = (int(part) for part in (after or b"0 0").split())
        step = await self._client.scan(self._keys.sessions, server, cursor, limit)
        keys = (session_key(name) for name in step.keys)
        # SCAN may name a key twice.
        distinct = dict.fromkeys(key for key in keys if key is not None)
        records = await _side_by_side(partial(self._read, now), distinct)
        following = f"{step.server} {step.cursor}".encode() if step.server is not None else None
        return Page(tuple(record for record in records if record is not None), following)

    async def count(self, now: int) -> int | None:
        # Only a walk through all keys of all servers would give the number.
        return None

    # -- locks, single-use markers, revocations ----------------------------------------------------

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        keys = (self._keys.lock(key),)
        return await self._client.script(scripts.LOCK, keys, owner, seconds * 1000) == 1

    async def unlock(self, key: bytes, owner: bytes) -> None:
        await self._client.script(scripts.UNLOCK, (self._keys.lock(key),), owner)

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        mine = secrets.token_bytes(16)
        return await self._write(scripts.USE_ONCE, (self._keys.used(key),), mine, expires) == 1

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        await self._write(scripts.REVOKE, (self._keys.revoked(key),), at, expires)

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        raise WouldBlock

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        async def one(key: bytes) -> int:
            name = self._keys.revoked(key)
            return revocation_at(await self._client.command(name, b"GET", name), now)

        return max(await _side_by_side(one, keys), default=0)

    # -- parts -------------------------------------------------------------------------------------

    async def _write(
        self,
        script: Script,
        keys: tuple[bytes, ...],
        *arguments: bytes | int,
        until: float | None = None,
    ) -> Reply:
        """Run a script whose write should not be lost with its master."""
        return await self._client.script(
            script, keys, *arguments, until=until, replicas=self._replicas
        )

    async def _read(self, now: int, key: bytes) -> Record | None:
        name = self._keys.session(key)
        record = record_of(key, await self._client.values(name, b"HMGET", name, *FIELDS))
        return record if record is not None and record.expires > now else None

    async def _read_outer(self, now: int, key: bytes) -> Record | None:
        """Read a record without its inner layer, as lists have it."""
        name = self._keys.session(key)
        values = await self._client.values(name, b"HMGET", name, *OUTER_FIELDS)
        record = outer_record_of(key, values)
        return record if record is not None and record.expires > now else None

    async def _tag(self, record: Record, write: bytes, until: float) -> None:
        async def one(tag: bytes) -> None:
            entry = record.key + write
            await self._write(
                scripts.TAG, (self._keys.tag(tag),), entry, record.expires, until=until
            )

        await _side_by_side(one, record.tags)

    async def _entries(self, tag: bytes, newest: int = 0) -> list[tuple[bytes, bytes]]:
        """List (key, write) of each session that has the tag, had it, or is about to have it.

        newest: only that many, those that expire last before the others; 0 for all.
        """
        name = self._keys.tag(tag)
        return tag_entries(await self._client.command(name, b"ZRANGE", name, 0, newest - 1, b"REV"))

    async def _delete(self, key: bytes, until: float) -> None:
        keys = (self._keys.session(key),)
        await self._untag(key, await self._write(scripts.DELETE, keys, until=until))

    async def _end(self, tag: bytes, now: int, entry: tuple[bytes, bytes]) -> bool:
        key, write = entry
        keys = (self._keys.session(key), self._keys.ended(key, write))
        ended = await self._write(scripts.END, keys, packed_tags([tag]), ENDED_MS, now)
        return await self._untag(key, ended)

    async def _untag(self, key: bytes, deleted: Reply) -> bool:
        """Remove the entries of a session from its tags: best effort, since readers skip the rest.

        Args:
            key: of the session.
            deleted: the reply of DELETE or END, [write, tags].

        Returns:
            Whether the session existed.
        """
        if not isinstance(deleted, list) or len(deleted) != 2:
            return False
        write, tags = deleted
        if not isinstance(write, bytes) or not isinstance(tags, bytes):
            return False

        async def one(tag: bytes) -> None:
            name = self._keys.tag(tag)
            await self._client.command(name, b"ZREM", name, key + write, key + REPLACED)

        with suppress(StoreUnavailable):
            await _side_by_side(one, unpacked_tags(tags))
        return True


S = TypeVar("S")


async def _side_by_side(work: Callable[[S], Awaitable[T]], items: Iterable[S]) -> list[T]:
    """The results, in order."""
    todo, results = list(items), []
    for start in range(0, len(todo), SIDE_BY_SIDE):
        some = todo[start : start + SIDE_BY_SIDE]
        results += await run_all(*(partial(work, item) for item in some))
    return results
