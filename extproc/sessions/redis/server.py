"""One Redis server: commands under a deadline, with a breaker."""

import logging
from dataclasses import dataclass

import trio
from coredis.connection import TCPConnection
from coredis.exceptions import ConnectionError, RedisError

from extproc import telemetry
from extproc.addresses import Address
from extproc.sessions.redis.connection import Connection, Login, Reply, Request, Word, reply_to
from extproc.sessions.redis.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of connections and operations; times are seconds.

    failures: how many in a row open a breaker. replication: how long a write waits for replicas.
    degraded: how long no write waits for replicas after they did not follow.
    """

    operation: float = 0.25
    connect: float = 1.0
    failures: int = 5
    replication: float = 0.1
    degraded: float = 5.0


class Breaker:
    """Open after a number of failures in a row: then only a probe is sent.

    Its success closes the breaker.
    """

    def __init__(self, failures: int) -> None:
        """Take the number of failures that open it."""
        self._limit = failures
        self._failures = 0
        self.reason = ""

    @property
    def open(self) -> bool:
        return self._failures >= self._limit

    def succeeded(self) -> None:
        self._failures = 0
        self.reason = ""

    def failed(self, reason: str) -> None:
        self._failures += 1
        self.reason = reason


class Server:
    """One server, with a connection for ordinary commands and one for those that wait for replicas.

    A command that waits for replicas holds up what comes after it on its connection. Connections
    are opened when they are needed.
    """

    def __init__(
        self, address: Address, login: Login, limits: Limits, nursery: trio.Nursery
    ) -> None:
        """
        Args:
            address: of the server.
            login: with which its connections are opened.
            limits: of its connections and operations.
            nursery: in which its connections live.
        """
        self.address = address
        self.breaker = Breaker(limits.failures)
        self._limits = limits
        self._plain = Connection(address, login, limits.connect, nursery)
        self._replicated = Connection(address, login, limits.connect, nursery)
        self._unfollowed_until = 0.0

    async def call(self, *words: Word, until: float, asking: bool = False) -> Reply:
        """Send one command.

        Args:
            words: of the command.
            until: the deadline, on trio's clock.
            asking: whether ASKING goes before it: the slot is just being moved to this server
                (Redis Cluster specification).

        Raises:
            Unreachable: there was no reply in time, or the breaker is open.
            RedisError: the reply is an error.
        """
        self._check_breaker()
        reply, _ = await self._ask(self._plain, words, until, asking)
        return reply

    async def write(self, *words: Word, until: float, replicas: int, asking: bool = False) -> Reply:
        """Send one command, and wait a moment until `replicas` replicas have its effect.

        If they do not follow in time, the write counts nevertheless, and a line is logged. (A
        master that has to refuse such writes has `min-replicas-to-write` in its configuration.)

        Args:
            words: of the command.
            until: the deadline, on trio's clock.
            replicas: how many have to follow; 0 waits for none.
            asking: see call().

        Raises:
            Unreachable: there was no reply in time, or the breaker is open.
            RedisError: the reply is an error.
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
        """Send one command for the breaker's sake, whether it is open or not; connects if needed.

        Raises Unreachable and RedisError as call().
        """
        try:
            with trio.move_on_after(self._limits.connect):
                await self._plain.get()
        except Unreachable as error:
            raise self._failed(str(error)) from None
        until = trio.current_time() + self._limits.operation
        reply, _ = await self._ask(self._plain, words, until)
        return reply

    def close(self) -> None:
        """Close its connections; a later command opens them again."""
        self._plain.close()
        self._replicated.close()

    def _check_breaker(self) -> None:
        if self.breaker.open:
            raise Unreachable(self.breaker.reason)

    async def _ask(
        self,
        channel: Connection,
        words: tuple[Word, ...],
        until: float,
        asking: bool = False,
        replicas: int = 0,
    ) -> tuple[Reply, int]:
        """Give the reply, and how many replicas followed. Feeds the breaker."""
        connection: TCPConnection | None = None
        try:
            with trio.fail_at(until):
                connection = await channel.get()
            request, wait = self._send(connection, words, asking, replicas)
            reply = await reply_to(request, until)
        except trio.TooSlowError:
            first = channel.blame(connection)
            if connection is not None:
                # What was sent may stand in a queue that the server does not read.
                connection.invalidate()
            raise self._failed(f"{self.address}: no answer in time", counts=first) from None
        except ConnectionError:
            first = channel.blame(connection)
            lost = f"{self.address}: the connection was lost"
            raise self._failed(lost, retry=True, counts=first) from None
        except Unreachable as error:
            raise self._failed(str(error)) from None
        self.breaker.succeeded()
        if isinstance(reply, RedisError):
            raise reply
        followed = await self._followed(wait) if wait is not None else 0
        return reply, followed

    def _send(
        self, connection: TCPConnection, words: tuple[Word, ...], asking: bool, replicas: int
    ) -> tuple[Request, Request | None]:
        """Send a command, and WAIT if replicas have to follow, without an await between them.

        Nothing else can be sent between them, so they arrive in this order.
        """
        if asking:
            connection.create_request(b"ASKING")
        request = connection.create_request(_bytes(words[0]), *words[1:], raise_exceptions=False)
        if replicas == 0:
            return request, None
        milliseconds = int(self._limits.replication * 1000)
        wait = connection.create_request(b"WAIT", replicas, milliseconds, raise_exceptions=False)
        return request, wait

    async def _followed(self, wait: Request) -> int:
        """Give the reply to WAIT; 0 if there is none in time, or if it is an error.

        The time is measured here, because a server's own clock for WAIT is coarse.
        """
        with trio.move_on_after(self._limits.replication):
            followed = await wait
            return followed if isinstance(followed, int) else 0
        return 0

    def _failed(self, reason: str, *, retry: bool = False, counts: bool = True) -> Unreachable:
        """Make the error of a failure, and count it unless the breaker knows of it already."""
        if counts:
            self.breaker.failed(reason)
        return Unreachable(reason, retry=retry)


def _bytes(word: Word) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()
