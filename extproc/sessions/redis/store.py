"""Redis and Valkey: the store of several machines. One server, a master that Sentinel names, or a
cluster.

Keys, below the prefix; what is in braces decides the slot, so a session and its lock are in one
slot, and its tags are in others:

    session:{KEY}  a hash: sealed, touched, expires, index, tags       lock:{KEY}         who may
    replace it
    tag:{TAG}      entries KEY + WRITE, by when they expire            ended:{KEY}WRITE   a write
    that came too late
    claim:{KEY}    a login attempt that was used                       buried:{KEY}       a
    tombstone

The server lets each of them expire. A session's entries in its tags are written before itself, so
`end` finds each session that is there or on its way: what is there it deletes, and for each entry
it leaves a mark under the entry's WRITE (a random word of one put), after which that put writes
nothing. So a session is either ended, or was written after the end had looked. An entry without a
session is nobody's: readers skip it, and it goes when the session would have expired. (To remove it
when it is met would tear a session that is just being written from its tag.)
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar, cast

import trio

from extproc.concurrency import run_all
from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.interfaces import Page, WouldBlock
from extproc.sessions.redis import scripts
from extproc.sessions.redis.client import Client, Script
from extproc.sessions.redis.connection import Limits, Reply
from extproc.sessions.redis.topology import Topology

T = TypeVar("T")
WRITE_BYTES = 8
REPLACED = bytes(WRITE_BYTES)  # in the entries of a session that was replaced: its put is over
ENDED_MS = 60_000  # far longer than a write may be on its way
SIDE_BY_SIDE = 50  # commands at once
DEFAULTS = Limits()
_NUMBER = re.compile(rb"[0-9]{1,15}")
_TAG = re.compile(rb"(?:[0-9a-f]{2})+")
_SESSION = re.compile(rb"\{((?:[0-9a-f]{2})+)\}$")
_MARK = re.compile(rb"([0-9]{1,15}) ([0-9]{1,15})")


class RedisStore:
    """See SessionStore. What is asked first connects; `start` does so before anybody asks."""

    def __init__(
        self,
        topology: Callable[[trio.Nursery], Topology],
        prefix: str = "extproc:",
        replicas: int = 0,
        limits: Limits = DEFAULTS,
    ) -> None:
        """replicas: how many are waited for, shortly, after each write that should not be lost with
        its master.
        """
        self._prefix = prefix.encode()
        self._replicas = replicas
        self._client = Client(topology, limits, self._prefix)

    async def start(self) -> None:
        """Connects, and looks from then on whether the servers are there."""
        self._client.start()

    @property
    def missing(self) -> str | None:
        """Why it is not ready, or None."""
        return self._client.missing

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- sessions ----------------------------------------------------------------------------------

    def get_nowait(self, key: bytes, now: int) -> Record | None:
        raise WouldBlock

    async def get(self, key: bytes, now: int) -> Record | None:
        return await self._read(now, key)

    async def put(self, record: Record, replaces: bytes | None = None) -> None:
        until, write = await self._client.begin(), secrets.token_bytes(WRITE_BYTES)
        await self._tag(record, write, until)
        keys = (self._key(b"session", record.key), self._ended(record.key, write))
        await self._script(scripts.WRITE, keys, write, *_values(record), until=until)
        if replaces is not None:  # after: a login that fails in between has cost nobody a session
            await self._delete(replaces, until)

    async def replace(self, record: Record, owner: bytes, now: int) -> bool:
        until = await self._client.begin()
        await self._tag(record, REPLACED, until)
        keys = (self._key(b"session", record.key), self._key(b"lock", record.key))
        return await self._script(scripts.REPLACE, keys, owner, *_values(record), until=until) == 1

    async def touch(self, key: bytes, now: int) -> None:
        await self._client.script(scripts.TOUCH, (self._key(b"session", key),), now)

    async def delete(self, key: bytes) -> None:
        await self._delete(key, await self._client.begin())

    async def tagged(self, tag: bytes, now: int) -> tuple[Record, ...]:
        keys = {key for key, _ in await self._entries(tag)}
        records = await _side_by_side(partial(self._read, now), keys)
        carrying = [record for record in records if record is not None and tag in record.tags]
        return tuple(sorted(carrying, key=lambda record: record.touched, reverse=True))

    async def end(self, tag: bytes, now: int) -> int:
        return sum(await _side_by_side(partial(self._end, tag, now), await self._entries(tag)))

    async def page(self, after: bytes | None, limit: int, now: int) -> Page:
        """A step of SCAN. after: the number of the server, and its cursor."""
        where, cursor = (int(part) for part in (after or b"0 0").split())
        keys, server, cursor = await self._client.scan(
            self._prefix + b"session:*", where, cursor, limit
        )
        names = [
            bytes.fromhex(found[1].decode())
            for key in keys
            if (found := _SESSION.search(key)) is not None
        ]
        records = await _side_by_side(partial(self._read, now), dict.fromkeys(names))
        there = tuple(record for record in records if record is not None)
        return Page(there, f"{server} {cursor}".encode() if server is not None else None)

    # -- locks and marks ---------------------------------------------------------------------------

    async def count(self, now: int) -> int | None:
        return None  # only a walk through all keys would tell

    async def lock(self, key: bytes, owner: bytes, seconds: int, now: int) -> bool:
        return (
            await self._client.script(
                scripts.LOCK, (self._key(b"lock", key),), owner, seconds * 1000
            )
            == 1
        )

    async def unlock(self, key: bytes, owner: bytes) -> None:
        await self._client.script(scripts.UNLOCK, (self._key(b"lock", key),), owner)

    async def use_once(self, key: bytes, expires: int, now: int) -> bool:
        mine = secrets.token_bytes(16)
        return await self._script(scripts.CLAIM, (self._key(b"claim", key),), mine, expires) == 1

    async def revoke_before(self, key: bytes, at: int, expires: int) -> None:
        await self._script(scripts.BURY, (self._key(b"buried", key),), at, expires)

    def revoked_before_nowait(self, keys: Sequence[bytes], now: int) -> int:
        raise WouldBlock

    async def revoked_before(self, keys: Sequence[bytes], now: int) -> int:
        async def one(key: bytes) -> int:
            where = self._key(b"buried", key)
            found = await self._client.command(where, b"GET", where)
            mark = _MARK.fullmatch(found) if isinstance(found, bytes) else None
            if found is None:
                return 0
            if mark is None:  # whose sessions are over nobody knows then
                raise StoreUnavailable("redis: a tombstone is no two numbers")
            return int(mark[1]) if int(mark[2]) > now else 0

        return max(await _side_by_side(one, keys), default=0)

    # -- parts -------------------------------------------------------------------------------------

    def _key(self, kind: bytes, name: bytes) -> bytes:
        return self._prefix + kind + b":{" + name.hex().encode() + b"}"

    def _ended(self, key: bytes, write: bytes) -> bytes:
        return self._key(b"ended", key) + write.hex().encode()

    async def _script(
        self,
        script: Script,
        keys: tuple[bytes, ...],
        *arguments: bytes | int,
        until: float | None = None,
    ) -> Reply:
        """A write that should not be lost with its master."""
        return await self._client.script(
            script, keys, *arguments, until=until, replicas=self._replicas
        )

    async def _read(self, now: int, key: bytes) -> Record | None:
        where = self._key(b"session", key)
        fields = (b"sealed", b"expires", b"touched", b"index", b"tags")
        record = _record(key, await self._client.values(where, b"HMGET", where, *fields))
        return record if record is not None and record.expires > now else None

    async def _tag(self, record: Record, write: bytes, until: float) -> None:
        async def one(tag: bytes) -> None:
            keys = (self._key(b"tag", tag),)
            await self._script(scripts.TAG, keys, record.key + write, record.expires, until=until)

        await _side_by_side(one, record.tags)

    async def _entries(self, tag: bytes) -> list[tuple[bytes, bytes]]:
        """(key, write) of each session that has the tag, or had, or may have it in a moment."""
        where = self._key(b"tag", tag)
        entries = _words(await self._client.command(where, b"ZRANGE", where, 0, -1))
        return [(entry[:-WRITE_BYTES], entry[-WRITE_BYTES:]) for entry in entries]

    async def _delete(self, key: bytes, until: float) -> None:
        await self._untag(
            key, await self._script(scripts.DELETE, (self._key(b"session", key),), until=until)
        )

    async def _end(self, tag: bytes, now: int, entry: tuple[bytes, bytes]) -> bool:
        key, write = entry
        keys = (self._key(b"session", key), self._ended(key, write))
        return await self._untag(
            key, await self._script(scripts.END, keys, _packed([tag]), ENDED_MS, now)
        )

    async def _untag(self, key: bytes, known: Reply) -> bool:
        """Takes a session that was deleted out of its tags; whether it was there. What is left
        there is skipped: best effort.
        """
        write, tags = known if isinstance(known, list) and len(known) == 2 else (None, None)
        if not isinstance(write, bytes) or not isinstance(tags, bytes):
            return False

        async def one(tag: bytes) -> None:
            where = self._key(b"tag", tag)
            await self._client.command(where, b"ZREM", where, key + write, key + REPLACED)

        with suppress(StoreUnavailable):
            await _side_by_side(one, _unpacked(tags))
        return True


def _values(record: Record) -> tuple[bytes | int, ...]:
    return record.sealed, record.touched, record.expires, record.index, _packed(record.tags)


def _record(key: bytes, values: Reply) -> Record | None:
    """None where there is no session, and for what no version of this program wrote: of that nobody
    has a session either.
    """
    if not isinstance(values, list) or len(values) != 5:
        return None
    sealed, expires, touched, index, tags = values
    if not (isinstance(sealed, bytes) and isinstance(index, bytes) and isinstance(tags, bytes)):
        return None
    if not all(
        isinstance(number, bytes) and _NUMBER.fullmatch(number) for number in (expires, touched)
    ):
        return None
    carried = _unpacked(tags)
    if len(carried) != len(tags.split()):
        return None
    return Record(key, sealed, int(cast(bytes, expires)), int(cast(bytes, touched)), index, carried)


def _words(reply: Reply) -> list[bytes]:
    """Raises StoreUnavailable for what is no list of them."""
    if not isinstance(reply, list) or not all(isinstance(word, bytes) for word in reply):
        raise StoreUnavailable("redis: answers what no Redis says")
    return cast(list[bytes], reply)


def _packed(tags: Iterable[bytes]) -> bytes:
    return b" ".join(tag.hex().encode() for tag in tags)


def _unpacked(tags: bytes) -> tuple[bytes, ...]:
    """Those that are tags."""
    return tuple(bytes.fromhex(tag.decode()) for tag in tags.split() if _TAG.fullmatch(tag))


S = TypeVar("S")


async def _side_by_side(work: Callable[[S], Awaitable[T]], items: Iterable[S]) -> list[T]:
    """The results, in order."""
    todo, results = list(items), []
    for start in range(0, len(todo), SIDE_BY_SIDE):
        some = todo[start : start + SIDE_BY_SIDE]
        results += await run_all(*(partial(work, item) for item in some))
    return results
