"""Workers without processes, for the supervisor's side: each is a WorkerHandle that answers what a
test wants.
"""

import json
from contextlib import asynccontextmanager
from typing import Any

import trio

from extproc.runtime.control import (
    Drain,
    Failed,
    GetMetrics,
    GetStatus,
    KeysUpdated,
    Listen,
    MetricsText,
    Ready,
    Serving,
    Start,
    Status,
    UpdateKeys,
)
from extproc.runtime.worker_pool import Workers
from extproc.settings import Settings


class MemoryWorker:
    """A worker process: what a real one does with each message, unless it is told to be worse."""

    def __init__(self, house, number):
        self.pid, self._house, self.number = number, house, number
        self._say, self._said = trio.open_memory_channel(100)
        self._gone = trio.Event()
        self.code = 0

    async def send(self, message):
        if self._gone.is_set():
            return
        house = self._house
        house.heard.append((self.number, type(message).__name__))
        match message:
            case Start():
                self.start = message
                house.started.append((trio.current_time(), message.number, message.settings))
                answer = house.on_start(self)
                if answer is not None:
                    await self._say.send(answer)
                if isinstance(answer, Failed):
                    self.end()
            case Listen():
                answer = house.on_listen(self)
                await self._say.send(answer)
                if isinstance(answer, Failed):
                    self.end()
            case GetStatus():
                if not house.silent:
                    missing = tuple(house.missing.pop() if house.missing else ())
                    await self._say.send(
                        Status(missing, (("streams", self.number),), house.checkers(self))
                    )
            case UpdateKeys():
                self.taken = message.settings
                if not house.stubborn:
                    await self._say.send(KeysUpdated())
            case GetMetrics():
                if not house.silent:
                    await self._say.send(MetricsText(f"of {self.number}"))
            case Drain():
                if not house.stubborn:
                    self.end()

    async def receive(self):
        try:
            said = await self._said.receive()
        except trio.EndOfChannel:
            return None
        if said is None:
            raise ValueError("nonsense")
        return said

    async def wait(self):
        await self._gone.wait()
        return self.code

    def kill(self):
        self.end(-9)

    def end(self, code=0):
        if not self._gone.is_set():
            self.code = code
            self._gone.set()
            self._say.close()

    @property
    def alive(self):
        return not self._gone.is_set()


class House:
    """Starts workers in memory, the first being number 0, and knows what became of them."""

    def __init__(self):
        self.made, self.heard, self.started, self.missing = [], [], [], []
        self.on_start, self.on_listen = (lambda worker: Ready()), (lambda worker: Serving())
        self.silent = self.stubborn = False
        self.checkers = lambda worker: 0
        self.spans = []

    async def launch(self):
        self.made.append(MemoryWorker(self, len(self.made)))
        return self.made[-1]

    @property
    def alive(self):
        return [worker.number for worker in self.made if worker.alive]

    @asynccontextmanager
    async def workers(self, settings):
        async with trio.open_nursery() as nursery:
            yield Workers(settings, self.launch, self.spans.append, nursery)
            nursery.cancel_scope.cancel()


def settings(**changes: Any) -> Settings:
    provider = {"issuer": "https://idp.example", "client_id": "gateway"}
    application = {"hosts": ["localhost"], "upstream": "http://127.0.0.1:9600", "provider": "main"}
    base = {
        "secret": "x" * 32,
        "workers": 2,
        "providers": {"main": provider},
        "applications": {"app": application},
    }
    return Settings.model_validate_json(json.dumps({**base, **changes}))
