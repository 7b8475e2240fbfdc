"""Many people at once: logins as browsers make them, over plain sockets, each checked to its
end.
"""

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

NAVIGATION = (
    "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: "
    "document\r\nSec-Fetch-Site: cross-site\r\n"
)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    location: str
    cookies: tuple[str, ...]  # name=value of each Set-Cookie
    seconds: float


class Visitor:
    """One browser with one connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def __aenter__(self) -> "Visitor":
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def get(self, target: str, cookie: str = "") -> Reply:
        lines = f"GET {target} HTTP/1.1\r\nHost: {self._host}\r\n{NAVIGATION}"
        started = time.perf_counter()
        self._writer.write(
            f"{lines}{f'Cookie: {cookie}' + chr(13) + chr(10) if cookie else ''}\r\n".encode()
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        took = time.perf_counter() - started
        headers = [
            (name.lower(), value.strip())
            for name, _, value in (s.partition(":") for s in head.split("\r\n")[1:])
        ]
        body = next((int(value) for name, value in headers if name == "content-length"), 0)
        await self._reader.readexactly(body)
        location = next((value for name, value in headers if name == "location"), "")
        cookies = tuple(value.partition(";")[0] for name, value in headers if name == "set-cookie")
        return Reply(int(head.split(" ", 2)[1]), location, cookies, took)

    async def login(self) -> Reply:
        """A whole login; the provider's page is played here. The last answer: 303 with a session,
        if it went well.
        """
        first = await self.get("/page")
        asked = {
            name: values[0] for name, values in parse_qs(urlsplit(first.location).query).items()
        }
        back = (
            urlsplit(asked["redirect_uri"]).path
            + "?"
            + urlencode({"code": asked["nonce"], "state": asked["state"]})
        )
        return await self.get(back, "; ".join(first.cookies))


def signed_in(reply: Reply) -> bool:
    return reply.status == 303 and any(
        cookie.startswith("extproc-session-") for cookie in reply.cookies
    )


async def one_by_one(port: int, logins: int) -> tuple[list[Reply], int]:
    """Logins in a row by one browser: the callbacks' answers, and how many went wrong."""
    async with Visitor("localhost", port) as visitor:
        replies = [await visitor.login() for _ in range(logins)]
    return replies, sum(not signed_in(reply) for reply in replies)


async def arrive(port: int, logins: int, rate: float) -> list["asyncio.Task[bool]"]:
    """So many people, so many a second at most; a task each, true when it ended signed in."""

    async def person() -> bool:
        async with Visitor("localhost", port) as visitor:
            return signed_in(await visitor.login())

    tasks, started = [], time.monotonic()
    for index in range(logins):
        tasks.append(asyncio.create_task(person()))
        await asyncio.sleep(max(0.0, started + (index + 1) / rate - time.monotonic()))
    return tasks
