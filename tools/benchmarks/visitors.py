"""Many browsers at the same time: whole logins over plain sockets, each checked to its end."""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

from harness.load import NAVIGATION, Connection


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    location: str
    cookies: tuple[str, ...]  # name=value of each Set-Cookie
    seconds: float


class Visitor:
    """One browser with one connection. Use it with `with`."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port)

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    async def get(self, target: str, cookie: str = "") -> Reply:
        """Navigate to an address of the gateway. Raises ConnectionError without an answer."""
        cookies = f"cookie: {cookie}\r\n" if cookie else ""
        request = f"GET {target} HTTP/1.1\r\nhost: localhost\r\n{NAVIGATION}sec-fetch-site: cross-site\r\n{cookies}\r\n"
        started = time.perf_counter()
        status, head, _ = await self._connection.send(request.encode())
        seconds = time.perf_counter() - started
        if status == 0:
            raise ConnectionError(head)
        pairs = [line.partition(":") for line in head.split("\r\n")[1:]]
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        location = next((value for name, value in headers if name == "location"), "")
        set_cookies = [value for name, value in headers if name == "set-cookie"]
        return Reply(status, location, tuple(c.partition(";")[0] for c in set_cookies), seconds)

    async def login(self) -> Reply:
        """A whole login without the provider's page: the last answer, 303 with a session if all
        went well.

        The code is the login's nonce (benchmarks.provider).
        """
        first = await self.get("/page")
        parameters = {
            name: values[0] for name, values in parse_qs(urlsplit(first.location).query).items()
        }
        query = urlencode({"code": parameters["nonce"], "state": parameters["state"]})
        callback = f"{urlsplit(parameters['redirect_uri']).path}?{query}"
        return await self.get(callback, "; ".join(first.cookies))


def signed_in(reply: Reply) -> bool:
    return reply.status == 303 and any(
        cookie.startswith("extproc-session-") for cookie in reply.cookies
    )


async def one_by_one(port: int, logins: int) -> tuple[list[Reply], int]:
    """Logins in a row by one browser: the callbacks' answers, and how many logins failed."""
    with Visitor(port) as visitor:
        replies = [await visitor.login() for _ in range(logins)]
    return replies, sum(not signed_in(reply) for reply in replies)


async def arrive(port: int, logins: int, rate: float) -> list["asyncio.Task[bool]"]:
    """Start so many logins, `rate` a second at most. Each task is true when it ended signed in."""

    async def person() -> bool:
        with Visitor(port) as visitor:
            return signed_in(await visitor.login())

    tasks: list[asyncio.Task[bool]] = []
    started = time.monotonic()
    for index in range(logins):
        tasks.append(asyncio.create_task(person()))
        await asyncio.sleep(max(0.0, started + (index + 1) / rate - time.monotonic()))
    return tasks
