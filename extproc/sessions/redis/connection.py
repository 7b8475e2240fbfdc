"""One Redis server: commands under a deadline, on connections of coredis, with a breaker.

coredis's own pools are left out: a pool loses a slot for good whenever a connection attempt is
cancelled, and whenever Sentinel names no master (6.9), and each deadline here is a cancellation. A
connection of coredis carries many requests at once. Replies are matched in order, and a request
whose caller has left still takes its reply, so a reply never reaches another caller.
"""

import logging
import ssl
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import trio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from coredis.connection import TCPConnection, TCPLocation
from coredis.exceptions import BusyLoadingError, ConnectionError, RedisError
from pydantic import SecretStr

from extproc import background, telemetry
from extproc.addresses import Address
from extproc.sessions.redis.errors import Unreachable, explain

Word = str | bytes | int | float
Reply = bytes | str | int | float | bool | None | list["Reply"]

TURNS = 5  # of the loop

# it logs each failed attempt as an error with a traceback; what is worth a line is logged here
logging.getLogger("coredis").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Login:
    """How to connect. setting: the key of the password, for the operator."""

    username: str | None = None
    password: SecretStr | None = field(default=None, repr=False)
    db: int = 0
    tls: ssl.SSLContext | None = None
    setting: str = "store.password"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, and how many failures in a row open a breaker."""

    operation: float = 0.25
    connect: float = 1.0
    failures: int = 5
    replication: float = 0.1  # how long a write waits for replicas
    degraded: float = 5.0  # how long nobody waits for them after they did not follow


class Request(Protocol):
    """What was sent to a connection of coredis: awaited for its reply."""

    @property
    def complete(self) -> bool: ...

    def __await__(self) -> Generator[Any, None, object]: ...


class Breaker:
    """Open after so many failures in a row: then nobody is sent but the probe, whose success closes
    it.
    """

    def __init__(self, failures: int) -> None:
        self._limit = failures
        self._failures = 0
        self.reason = ""

    @property
    def open(self) -> bool:
        return self._failures >= self._limit

    def succeeded(self) -> None:
        self._failures, self.reason = 0, ""

    def failed(self, reason: str) -> None:
        self._failures, self.reason = self._failures + 1, reason


class Server:
    """One server. Its connections are opened when they are needed, in `nursery`."""

    def __init__(
        self, address: Address, login: Login, limits: Limits, nursery: trio.Nursery
    ) -> None:
        self.address = address
        self.breaker = Breaker(limits.failures)
        self._limits = limits
        # a write that waits for replicas holds up what comes after it on its connection: it has one
        # of its own
        self._plain, self._replicated = (
            _Slot(address, login, limits.connect, nursery) for _ in range(2)
        )
        self._unfollowed_until = 0.0

    async def call(self, *words: Word, until: float, asking: bool = False) -> Reply:
        """One command, answered before `until` (trio's clock). Raises Unreachable, or RedisError
        for a reply that is an error.
        """
        self._check_breaker()
        return (await self._ask(self._plain, words, until, asking))[0]

    async def write(self, *words: Word, until: float, replicas: int, asking: bool = False) -> Reply:
        """The same, and waits a moment until `replicas` have it. If they don't, it counts all the
        same; a line is logged.

        (A master that shall refuse such writes has `min-replicas-to-write` in its own
        configuration.)
        """
        if replicas == 0 or trio.current_time() < self._unfollowed_until:
            return await self.call(*words, until=until, asking=asking)
        self._check_breaker()
        reply, followed = await self._ask(self._replicated, words, until, asking, replicas)
        if followed < replicas and trio.current_time() >= self._unfollowed_until:
            self._unfollowed_until = trio.current_time() + self._limits.degraded
            telemetry.log(
                logging.WARNING, "store_not_replicated", server=str(self.address), wanted=replicas
            )
        return reply

    async def probe(self, *words: Word) -> Reply:
        """A command for the breaker's sake, whether it is open or not. It may have to connect."""
        try:
            with trio.move_on_after(self._limits.connect):
                await self._plain.get()
        except Unreachable as error:
            raise self._failed(str(error)) from None
        return (await self._ask(self._plain, words, trio.current_time() + self._limits.operation))[
            0
        ]

    def _check_breaker(self) -> None:
        if self.breaker.open:
            raise Unreachable(self.breaker.reason)

    async def _ask(
        self,
        slot: "_Slot",
        words: tuple[Word, ...],
        until: float,
        asking: bool = False,
        replicas: int = 0,
    ) -> tuple[Reply, int]:
        """The reply, and how many replicas followed. Feeds the breaker."""
        connection: TCPConnection | None = None
        try:
            with trio.fail_at(until):
                connection = await slot.get()
            # in one go: what is said to a connection is said in this order
            if asking:
                connection.create_request(b"ASKING")
            request = connection.create_request(
                _bytes(words[0]), *words[1:], raise_exceptions=False
            )
            patience = int(self._limits.replication * 1000)
            wait = (
                connection.create_request(b"WAIT", replicas, patience, raise_exceptions=False)
                if replicas
                else None
            )
            reply = _found(await _answer(request, until))
        except trio.TooSlowError:
            first = slot.blame(connection)
            if connection is not None:
                connection.invalidate()  # what was sent may stand in a queue that nobody reads
            raise self._failed(f"{self.address}: no answer in time", counts=first) from None
        except ConnectionError:
            first = slot.blame(connection)
            raise self._failed(
                f"{self.address}: the connection was lost", retry=True, counts=first
            ) from None
        except Unreachable as error:
            raise self._failed(str(error)) from None
        self.breaker.succeeded()
        if isinstance(reply, RedisError):
            raise reply
        return reply, await self._followed(wait) if wait is not None else 0

    async def _followed(self, wait: Request) -> int:
        """A server's own clock for WAIT is coarse, so the patience is ours; 0 for no answer, and
        for an error.
        """
        with trio.move_on_after(self._limits.replication):
            followed = await wait
            return followed if isinstance(followed, int) else 0
        return 0

    def close(self) -> None:
        for slot in (self._plain, self._replicated):
            slot.close()

    def _failed(self, reason: str, *, retry: bool = False, counts: bool = True) -> Unreachable:
        if counts:
            self.breaker.failed(reason)
        return Unreachable(reason, retry=retry)


class _Slot:
    """One connection. It is opened by a task of its own, which no caller's deadline cancels, for
    all that wait for it.
    """

    def __init__(
        self, address: Address, login: Login, timeout: float, nursery: trio.Nursery
    ) -> None:
        self._address, self._login, self._timeout, self._nursery = address, login, timeout, nursery
        self._connection: TCPConnection | None = None
        self._opening: trio.Event | None = None
        self._blamed: TCPConnection | None = None
        self._error = ""

    async def get(self) -> TCPConnection:
        """Raises Unreachable."""
        if self._connection is not None and self._connection.usable:
            return self._connection
        if self._opening is None:
            self._connection, self._opening = None, trio.Event()
            self._nursery.start_soon(self._open, self._opening)
        await self._opening.wait()
        if self._connection is None:
            raise Unreachable(f"{self._address}: {self._error}")
        return self._connection

    def blame(self, connection: TCPConnection | None) -> bool:
        """Whether this is news: a connection that carried a hundred requests has failed once."""
        known = connection is not None and connection is self._blamed
        self._blamed = connection
        return not known

    def close(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()

    async def _open(self, opened: trio.Event) -> None:
        self._error = "no connection in time"
        try:
            connection = self._made()
            with trio.fail_after(self._timeout):  # the handshake included
                await self._nursery.start(self._keep, connection)
            self._connection = connection
        except (RuntimeError, trio.TooSlowError):  # RuntimeError: it ended before it had started
            pass
        except Exception as error:
            self._error = explain(error, self._login.setting)
            background.bug("store_failed", error, store="redis")
        finally:
            self._opening = None
            opened.set()

    def _made(self) -> TCPConnection:
        login = self._login
        return TCPConnection(
            TCPLocation(self._address.host, self._address.port),
            connect_timeout=self._timeout,
            username=login.username,
            password=login.password.get_secret_value() if login.password is not None else None,
            db=login.db,
            ssl_context=login.tls,
        )

    async def _keep(self, connection: TCPConnection, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await connection.run(task_status=task_status)
        except Exception as error:
            # what it meets later is told to those who wait for a reply, and by `usable`
            self._error = explain(error, self._login.setting)
        finally:
            # it leaves its queues open when it could not connect
            for part in vars(connection).values():
                if isinstance(part, MemoryObjectSendStream | MemoryObjectReceiveStream):
                    part.close()


async def _answer(request: Request, until: float) -> object:
    """Its reply. One that came while this process itself was held up is there a few turns of the
    loop later. Raises TooSlowError.
    """
    with trio.move_on_at(until):
        return await request
    for _ in range(TURNS):
        await trio.lowlevel.checkpoint()
        if request.complete:
            return await request
    raise trio.TooSlowError


def _found(reply: object) -> Reply | RedisError:
    """Raises ConnectionError when the connection went away first: what it died of stands in the
    reply's place.
    """
    if isinstance(reply, Exception) and not isinstance(reply, RedisError):
        raise ConnectionError from reply
    if isinstance(reply, ConnectionError) and not isinstance(reply, BusyLoadingError):
        raise reply
    return cast(Reply | RedisError, reply)


def _bytes(word: Word) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()
