"""So many requests a second, each in turn with one of these sessions, whatever becomes of those
before.

    with Paced(stack, cookies, rate=200) as load:   # Cookie headers of signed-in browsers, without
    their assertions
        load.settles(200)                           # waits until so many answers in a row were 200
        load.answers                                # Answer, in the order in which they came

A machine that is too slow for the rate gets fewer requests, not a queue. In a thread of its own.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from harness.gateway import Stack
from harness.processes import wait_until

MOST = 64  # requests under way


@dataclass(frozen=True, slots=True)
class Answer:
    """at: seconds, monotonic; session: its place in `cookies`; status 0: none came, and `head` says
    why.
    """

    at: float
    session: int
    status: int
    head: str
    body: str


class Paced:
    """From `with` to its end."""

    def __init__(self, stack: Stack, cookies: Sequence[str], rate: int = 200) -> None:
        self._port, self._pause = stack.port, 1 / rate
        head = (
            f"GET /paced HTTP/1.1\r\nhost: localhost:{stack.port}\r\naccept: "
            "text/html\r\nsec-fetch-mode: navigate\r\n"
        )
        self._requests = [
            f"{head}sec-fetch-dest: document\r\ncookie: {cookie}\r\n\r\n".encode()
            for cookie in cookies
        ]
        self.answers: list[Answer] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="paced")

    def settles(self, answers: int = 200, timeout: float = 60) -> None:
        """Returns when the last so many answers, all of them to requests from now on, were 200."""
        first = len(self.answers) + MOST

        def settled() -> bool:
            last = self.answers[first:][-answers:]
            return len(last) == answers and all(answer.status == 200 for answer in last)

        wait_until(settled, timeout, f"{answers} answers of 200")

    def summary(self, since: float) -> str:
        """What came after that moment: how many of each status, and when the first and the last
        that was not 200.
        """
        seen = [answer for answer in self.answers if answer.at >= since]
        count = {
            status: sum(a.status == status for a in seen)
            for status in sorted({a.status for a in seen})
        }
        bad = [answer.at - since for answer in seen if answer.status != 200]
        between = f", not 200 from {bad[0]:.2f} s to {bad[-1]:.2f} s" if bad else ""
        return f"{count}{between}, {len(seen) / (seen[-1].at - since):.0f} a second"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._all())

    async def _all(self) -> None:
        waiting: asyncio.Queue[int | None] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as group:
            for _ in range(MOST):
                group.create_task(self._client(waiting))
            number, due = 0, time.monotonic()
            while not self._over.is_set():
                await waiting.put(number % len(self._requests))
                number, due = number + 1, max(due + self._pause, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
            for _ in range(MOST):
                await waiting.put(None)

    async def _client(self, waiting: "asyncio.Queue[int | None]") -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while (session := await waiting.get()) is not None:
            try:
                connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
            except OSError as error:  # nobody listens
                self.answers.append(Answer(time.monotonic(), session, 0, repr(error), ""))
                continue
            status, head, body = await _exchange(*connection, self._requests[session])
            self.answers.append(Answer(time.monotonic(), session, status, head, body))
            if status == 0 or "connection: close" in head:
                connection[1].close()
                connection = None
        if connection is not None:
            connection[1].close()


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, str, str]:
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lengths = [line for line in head.split("\r\n") if line.startswith("content-length:")]
        body = await reader.readexactly(int(lengths[0].partition(":")[2]) if lengths else 0)
    except (OSError, asyncio.IncompleteReadError) as error:
        return 0, repr(error), ""
    return int(head.split()[1]), head, body.decode()
