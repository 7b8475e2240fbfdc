"""One connection of coredis to a Redis server, and the replies that come over it.

The pools of coredis 6.9 are not used: a pool loses a slot for good whenever a connection attempt is
cancelled, and whenever Sentinel names no master, and each deadline here is a cancellation. One
connection of coredis carries many requests at the same time. Replies are matched in order, and a
request whose caller has left still takes its reply, so a reply never reaches another caller.
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

from extproc import background
from extproc.addresses import Address
from extproc.sessions.redis.errors import Unreachable, explain

Word = str | bytes | int | float
Reply = bytes | str | int | float | bool | None | list["Reply"]

# Turns of the event loop for a reply that arrived while this process was held up.
TURNS = 5

# coredis logs each failed attempt as an error with a traceback. What is worth a line, this package
# logs itself.
logging.getLogger("coredis").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Login:
    """How to log in to a server; `setting` is the key of the password, for the operator."""

    username: str | None = None
    password: SecretStr | None = field(default=None, repr=False)
    db: int = 0
    tls: ssl.SSLContext | None = None
    setting: str = "store.password"


class Request(Protocol):
    """A request that was sent over a connection of coredis: awaited for its reply."""

    @property
    def complete(self) -> bool: ...

    def __await__(self) -> Generator[Any, None, object]: ...


class Connection:
    """One connection to a server, opened when it is needed and again after it was lost.

    A task of its own opens it for all callers that wait for it; no caller's deadline cancels that.
    """

    def __init__(
        self, address: Address, login: Login, timeout: float, nursery: trio.Nursery
    ) -> None:
        """
        Args:
            address: of the server.
            login: with which the connection is opened.
            timeout: seconds for opening it, handshake included.
            nursery: in which it lives.
        """
        self._address = address
        self._login = login
        self._timeout = timeout
        self._nursery = nursery
        self._connection: TCPConnection | None = None
        self._opening: trio.Event | None = None
        self._blamed: TCPConnection | None = None
        self._error = ""

    async def get(self) -> TCPConnection:
        """Give the open connection, or wait for it. Raises Unreachable."""
        if self._connection is not None and self._connection.usable:
            return self._connection
        if self._opening is None:
            self._connection = None
            self._opening = trio.Event()
            self._nursery.start_soon(self._open, self._opening)
        await self._opening.wait()
        if self._connection is None:
            raise Unreachable(f"{self._address}: {self._error}")
        return self._connection

    def blame(self, connection: TCPConnection | None) -> bool:
        """Whether this is the connection's first failure.

        A lost connection that carried a hundred requests has failed once. None: none was open.
        """
        known = connection is not None and connection is self._blamed
        self._blamed = connection
        return not known

    def close(self) -> None:
        """Close it; a later get() opens it again."""
        if self._connection is not None:
            self._connection.invalidate()

    async def _open(self, opened: trio.Event) -> None:
        self._error = "no connection in time"
        try:
            connection = self._new()
            with trio.fail_after(self._timeout):
                await self._nursery.start(self._keep, connection)
            self._connection = connection
        except (RuntimeError, trio.TooSlowError):
            # A RuntimeError of start(): the connection ended before it had started.
            pass
        except Exception as error:
            self._error = explain(error, self._login.setting)
            background.bug("store_failed", error, store="redis")
        finally:
            self._opening = None
            opened.set()

    def _new(self) -> TCPConnection:
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
            # After the start, callers learn of the error by their reply, and by `usable`.
            self._error = explain(error, self._login.setting)
        finally:
            # coredis leaves its queues open if it could not connect.
            for part in vars(connection).values():
                if isinstance(part, MemoryObjectSendStream | MemoryObjectReceiveStream):
                    part.close()


async def reply_to(request: Request, until: float) -> Reply | RedisError:
    """Await the reply to a request, before `until` on trio's clock.

    A reply that arrived while this process itself was held up is there a few turns of the event
    loop later, and counts as well.

    Raises:
        trio.TooSlowError: there was no reply in time.
        ConnectionError: of coredis: the connection was lost before the reply.
    """
    with trio.move_on_at(until):
        return _checked(await request)
    for _ in range(TURNS):
        await trio.lowlevel.checkpoint()
        if request.complete:
            return _checked(await request)
    raise trio.TooSlowError


def _checked(reply: object) -> Reply | RedisError:
    """Raise ConnectionError if what ended the connection stands in the reply's place."""
    if isinstance(reply, Exception) and not isinstance(reply, RedisError):
        raise ConnectionError from reply
    if isinstance(reply, ConnectionError) and not isinstance(reply, BusyLoadingError):
        raise reply
    return cast(Reply | RedisError, reply)
