"""A steady load on a gateway: anonymous navigations, scripts without a session, and sessions whose
assertion has gone.

    with Load(stack, session) as load:          # session: the Cookie header of a signed-in browser,
    without its assertion
        ...
        load.goes_on(100)                       # waits until every client has had so many answers
        more
    load.answers                                # Counter of (kind, status); status 0: no answer at
    all

Each client has one request in hand at a time, on a connection that it keeps, and breathes between
two. In a thread of its own.
"""

import asyncio
import threading
from collections import Counter
from typing import Self

from harness.gateway import Stack
from harness.processes import wait_until

BREATH = 0.02  # seconds: the machine has other things to do as well, new workers above all
KINDS = {"navigation": 303, "script": 401, "session": 200}


class Load:
    """From `with` to its end."""

    def __init__(self, stack: Stack, session: str, clients: int = 12) -> None:
        self._port, self.clients = stack.port, clients
        self._heads = {
            "navigation": "accept: text/html\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: "
            "document\r\n",
            "script": "accept: */*\r\nsec-fetch-mode: cors\r\n",
            "session": f"accept: text/html\r\ncookie: {session}\r\n",
        }
        self.answers: Counter[tuple[str, int]] = Counter()
        self.failed: list[tuple[str, int, str]] = []  # kind, status, head of the answer
        self._done = [0] * clients
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: self._run(), name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def goes_on(self, answers: int = 20, timeout: float = 30) -> None:
        """Returns when every client has had so many answers more."""
        wanted = [done + answers for done in self._done]
        wait_until(
            lambda: all(done >= want for done, want in zip(self._done, wanted, strict=True)),
            timeout,
            "more answers",
        )

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._all())

    async def _all(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._one(number, list(KINDS)[number % len(KINDS)]))

    async def _one(self, number: int, kind: str) -> None:
        request = f"GET /load HTTP/1.1\r\nhost: localhost:{self._port}\r\n{self._heads[kind]}\r\n".encode()
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while not self._over.is_set():
            connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
            status, head = await _exchange(*connection, request)
            self.answers[kind, status] += 1
            if status != KINDS[kind]:
                self.failed.append((kind, status, head))
            self._done[number] += 1
            if status == 0 or "connection: close" in head:
                connection[1].close()
                connection = None
            await asyncio.sleep(BREATH)
        if connection is not None:
            connection[1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, str]:
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lengths = [line for line in head.split("\r\n") if line.startswith("content-length:")]
        await reader.readexactly(int(lengths[0].partition(":")[2]) if lengths else 0)
    except (OSError, asyncio.IncompleteReadError) as error:
        return 0, repr(error)
    return int(head.split()[1]), head
