"""Load on a gateway from a thread of its own: a fixed number of clients, or a fixed rate.

    with Load(stack, session) as load:          # navigations, script calls, and pages of a session
        load.wait_for_more(100)                 # until every client has had 100 more answers
    load.answers                                # a Counter of (kind, status)

    with PacedLoad(stack, cookies, rate=200) as load:   # pages of these sessions in turn
        load.wait_until_well(200)               # until 200 answers in a row were 200
    load.answers                                # a list of Answer, in the order of their arrival

`session` and `cookies` are Cookie headers of signed-in browsers without their assertions, so that
the processor decides each request. Status 0 means that there was no answer.
"""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from harness.gateway import Stack
from harness.processes import wait_until

BREATH = 0.02  # seconds between two requests of a client: new workers need the processor as well
MOST = 64  # requests of a PacedLoad at the same time
KINDS = {"navigation": 303, "script": 401, "session": 200}
NAVIGATION = "accept: text/html\r\nsec-fetch-mode: navigate\r\nsec-fetch-dest: document\r\n"


class Connection:
    """One HTTP/1.1 connection to a port of 127.0.0.1, opened when it is needed and kept alive."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> tuple[int, str, bytes]:
        """The status, the head as it came, and the body. Without an answer: 0, and why."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            status, head, body = await self._exchange(*self._streams, request)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.close()
            return 0, repr(error), b""
        if "connection: close" in head.lower():
            self.close()
        return status, head, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> tuple[int, str, bytes]:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = [line.partition(":") for line in head.split("\r\n")]
        lengths = [value for name, _, value in fields if name.lower() == "content-length"]
        body = await reader.readexactly(int(lengths[0]) if lengths else 0)
        return int(head.split()[1]), head, body


class _Load:
    """Runs from `with` to the block's end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._send_all())

    async def _send_all(self) -> None:
        """Send requests until `_ended` is set."""
        raise NotImplementedError

    def _request(self, path: str, headers: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\nhost: localhost:{self._port}\r\n{headers}\r\n".encode()


class Load(_Load):
    """Clients that each send one request after the other, each client always of the same kind."""

    def __init__(self, stack: Stack, session: str, clients: int = 12) -> None:
        super().__init__(stack.port)
        self.clients = clients
        self.answers: Counter[tuple[str, int]] = Counter()
        self.failed: list[tuple[str, int, str]] = []  # kind, status, and head of the answer
        self._requests = {
            "navigation": self._request("/load", NAVIGATION),
            "script": self._request("/load", "accept: */*\r\nsec-fetch-mode: cors\r\n"),
            "session": self._request("/load", f"accept: text/html\r\ncookie: {session}\r\n"),
        }
        self._done = [0] * clients

    def wait_for_more(self, answers: int = 20, timeout: float = 30) -> None:
        """Return when every client has had so many more answers."""
        wanted = [done + answers for done in self._done]
        wait_until(
            lambda: all(done >= want for done, want in zip(self._done, wanted, strict=True)),
            timeout,
            "more answers",
        )

    async def _send_all(self) -> None:
        kinds = list(KINDS)
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._client(number, kinds[number % len(kinds)]))

    async def _client(self, number: int, kind: str) -> None:
        connection = Connection(self._port)
        while not self._ended.is_set():
            status, head, _ = await connection.send(self._requests[kind])
            self.answers[kind, status] += 1
            if status != KINDS[kind]:
                self.failed.append((kind, status, head))
            self._done[number] += 1
            await asyncio.sleep(BREATH)
        connection.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a PacedLoad.

    at: seconds, monotonic. session: its index in `cookies`. head: in lower case; without an answer
    (status 0) the error.
    """

    at: float
    session: int
    status: int
    head: str
    body: str


class PacedLoad(_Load):
    """So many requests a second, for each session in turn, whatever becomes of earlier ones.

    A machine that is too slow for the rate gets fewer requests, not a queue.
    """

    def __init__(self, stack: Stack, cookies: Sequence[str], rate: int = 200) -> None:
        super().__init__(stack.port)
        self.answers: list[Answer] = []
        self._pause = 1 / rate
        self._requests = [
            self._request("/paced", f"{NAVIGATION}cookie: {cookie}\r\n") for cookie in cookies
        ]

    def wait_until_well(self, answers: int = 200, timeout: float = 60) -> None:
        """Return when the last so many answers, all to requests sent from now on, were 200."""
        first = len(self.answers) + MOST

        def well() -> bool:
            last = self.answers[first:][-answers:]
            return len(last) == answers and all(answer.status == 200 for answer in last)

        wait_until(well, timeout, f"{answers} answers of 200")

    def summary(self, since: float) -> str:
        """The answers after that moment: each status, the time of other ones than 200, the rate."""
        answers = [answer for answer in self.answers if answer.at >= since]
        count = dict(sorted(Counter(answer.status for answer in answers).items()))
        bad = [answer.at - since for answer in answers if answer.status != 200]
        between = f", not 200 from {bad[0]:.2f} s to {bad[-1]:.2f} s" if bad else ""
        rate = len(answers) / (answers[-1].at - since)
        return f"{count}{between}, {rate:.0f} a second"

    async def _send_all(self) -> None:
        sessions: asyncio.Queue[int | None] = asyncio.Queue(1)
        async with asyncio.TaskGroup() as group:
            for _ in range(MOST):
                group.create_task(self._client(sessions))
            await self._pace(sessions)
            for _ in range(MOST):
                await sessions.put(None)

    async def _pace(self, sessions: "asyncio.Queue[int | None]") -> None:
        number = 0
        due = time.monotonic()
        while not self._ended.is_set():
            await sessions.put(number % len(self._requests))
            number += 1
            due = max(due + self._pause, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _client(self, sessions: "asyncio.Queue[int | None]") -> None:
        connection = Connection(self._port)
        while (session := await sessions.get()) is not None:
            status, head, body = await connection.send(self._requests[session])
            answer = Answer(time.monotonic(), session, status, head.lower(), body.decode())
            self.answers.append(answer)
        connection.close()
