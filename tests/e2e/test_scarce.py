"""A processor that lacks descriptors, memory or disk space.

It sheds load, reports it, and continues as the same process when there is enough again.
"""

import os
import re
import resource
import sqlite3
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
import trio
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.memory import limited
from harness.processes import descriptors, wait_until
from harness.stored_sessions import Kept

from extproc.settings import Limits

FEW, MANY = 256, 200  # descriptors in all; logins at once, each of which needs one
ROOM = 160  # of them that there is room for (ext_proc/admission.py)
# No deadline may expire here: on a busy machine a thousand logins take minutes to arrive.
PATIENT = {"timeouts": {"message": 600, "connect": 60, "call": 600, "callback": 1200}}
MEMORY, SURPLUS = 256 << 20, 40  # bytes; logins beyond what may be held
# descriptors that may be open afterwards beyond those before: connections that are kept alive
REST = 60


async def ask(port: int, path: str, *lines: str) -> str:
    """The head of the answer to one request to localhost. Empty: no answer."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(
            "\r\n".join(
                [f"GET {path} HTTP/1.1", f"host: localhost:{port}", *lines, "", ""]
            ).encode()
        )
        received = b""
        while b"\r\n\r\n" not in received and (more := await stream.receive_some(65536)):
            received += more
        return received.decode("latin-1")


class Crowd:
    """Browsers that return from the provider simultaneously, as often as a test needs.

    more: header lines that each browser sends in addition.
    """

    def __init__(self, stack: Stack, size: int, *more: str) -> None:
        self._stack, self._more = stack, more
        self.places: dict[int, tuple[str, str]] = {}
        self.answers: dict[int, str] = {}
        trio.run(self._all, self._begin, list(range(size)), 30)

    def come(self, who: list[int] | None = None) -> None:
        """Send the callbacks, and return when all have their answers."""
        chosen = list(self.places) if who is None else who
        self.answers = {}
        trio.run(self._all, self._return, chosen, len(chosen))

    def statuses(self) -> Counter[int]:
        return Counter(self._status(answer) for answer in list(self.answers.values()))

    def who(self, status: int) -> list[int]:
        return [number for number, answer in self.answers.items() if self._status(answer) == status]

    @staticmethod
    def _status(answer: str) -> int:
        return int(answer[9:12] or 0)

    async def _all(self, work, who: list[int], at_once: int) -> None:
        limit = trio.CapacityLimiter(at_once)

        async def one(number: int) -> None:
            async with limit:
                await work(number)

        async with trio.open_nursery() as nursery:
            for number in who:
                nursery.start_soon(one, number)

    async def _begin(self, number: int) -> None:
        started = await ask(self._stack.port, f"/page/{number}", "accept: text/html")
        cookies = re.findall(r"^set-cookie: ([^;]+)", started, re.M)
        (to,) = re.findall(r"^location: http://127\.0\.0\.1:(\d+)(\S+)", started, re.M)
        (back,) = re.findall(r"^location: http://[^/]+(\S+)", await ask(int(to[0]), to[1]), re.M)
        self.places[number] = (back, "; ".join(cookies))

    async def _return(self, number: int) -> None:
        back, cookies = self.places[number]
        self.answers[number] = await ask(
            self._stack.port, back, f"cookie: {cookies}", "accept: text/html", *self._more
        )


@contextmanager
def the_same_process(stack: Stack) -> Iterator[None]:
    """The processor still runs at the end, and met no bug."""
    pid = stack.extproc.pid
    yield
    assert stack.extproc.pid == pid and stack.extproc.exit_code is None
    assert (
        "internal_error" not in stack.extproc.output() and "Traceback" not in stack.extproc.output()
    )


@pytest.mark.heavy
def test_a_processor_with_few_descriptors_sheds_logins_before_anything_is_consumed_and_recovers() -> (
    None
):
    limits = ("prlimit", f"--nofile={FEW}:{FEW}", "--")
    with (
        Stack(FakeProvider(behind=False), within=limits, settings=PATIENT) as stack,
        stack.user() as user,
        the_same_process(stack),
    ):
        assert user.go(stack.url("/private")).status_code == 200
        before = descriptors(stack.extproc.pid)
        crowd = Crowd(stack, MANY)
        with ThreadPoolExecutor(1) as pool:
            with stack.provider.holding("/token"):
                flood = pool.submit(crowd.come)
                wait_until(
                    lambda: len(crowd.answers) == MANY - ROOM and stack.provider.held == ROOM,
                    300,
                    "the flood",
                )
                assert (
                    crowd.statuses() == {503: MANY - ROOM} and descriptors(stack.extproc.pid) <= FEW
                )
                assert all("\r\nretry-after: " in answer for answer in crowd.answers.values())
                user.cookies.drop("extproc-assertion-app")
                assert user.navigate(stack.url("/private")).status_code == 200, (
                    "whoever is signed in notices nothing"
                )
            flood.result(300)
        assert crowd.statuses() == {503: MANY - ROOM, 303: ROOM}
        refused = crowd.who(503)
        crowd.come(refused)
        assert crowd.statuses() == {303: len(refused)}, "nothing was consumed: a reload signs in"
        wait_until(
            lambda: descriptors(stack.extproc.pid) <= before + REST,
            60,
            "its connections to be closed",
        )


@pytest.mark.heavy
def test_a_processor_in_256_mb_sheds_logins_with_large_headers_and_recovers() -> None:
    large = "x" * 8000  # bytes, of a cookie of the application's own
    with (
        limited(MEMORY) as group,
        Stack(FakeProvider(behind=False), within=group.within, settings=PATIENT) as stack,
        stack.user() as user,
        the_same_process(stack),
    ):
        assert user.go(stack.url("/private")).status_code == 200
        most = Limits().per_provider
        crowd = Crowd(stack, most + SURPLUS, f"cookie: own={large}")
        with ThreadPoolExecutor(1) as pool, stack.provider.holding("/token"):
            flood = pool.submit(crowd.come)
            wait_until(
                lambda: len(crowd.answers) == SURPLUS and stack.provider.held == most,
                500,
                "the flood",
            )
            assert crowd.statuses() == {503: SURPLUS}
            user.cookies.drop("extproc-assertion-app")
            assert user.navigate(stack.url("/private")).status_code == 200, (
                "whoever is signed in notices nothing"
            )
            # Completes them without a thousand token requests.
            stack.provider.kill()
            flood.result(300)
        stack.provider.restart()
        assert crowd.statuses().keys() <= {502, 503}, crowd.statuses()
        wait_until(
            lambda: user.go(stack.url("/oauth2/login?return_to=/private")).status_code == 200,
            60,
            every=0.2,
        )
        assert group.peak <= MEMORY


# -- room for the store ----------------------------------------------------------------------------


def test_a_full_disk_stops_logins_and_no_session_and_spends_no_refresh_token() -> None:
    with (
        Stack(FakeProvider(behind=False)) as stack,
        stack.user() as user,
        stack.user("late") as late,
        the_same_process(stack),
    ):
        assert user.go(stack.url("/private")).status_code == 200
        callback = late.navigate(late.navigate(stack.url("/x")).headers["location"]).headers[
            "location"
        ]
        Kept(stack).age(user)
        user.cookies.drop("extproc-assertion-app")
        with no_room(stack):
            assert user.navigate(stack.url("/private")).status_code == 200, "sessions are read"
            assert stack.provider.grants == [], "nothing is asked for that could not be kept"
            for _ in range(2):
                page = late.navigate(callback)
                assert (page.status_code, ">store_unavailable<" in page.text) == (503, True)
                assert int(page.headers["retry-after"]) > 0 and stack.provider.redeemed[1:] == []
            out = user.navigate(
                stack.url("/oauth2/logout"), "POST", page=stack.url("/"), content=b""
            )
            assert (out.status_code, ">store_unavailable<" in out.text) == (503, True), (
                "not signed out, and told so"
            )
        assert late.navigate(callback).status_code == 303, "the same login"
        with closing(sqlite3.connect(stack.settings["store"]["path"])) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@contextmanager
def no_room(stack: Stack) -> Iterator[None]:
    """Let no file of the processor grow, as on a full disk."""
    path = stack.settings["store"]["path"]
    size = max(os.stat(f"{path}{end}").st_size for end in ("", "-wal"))
    resource.prlimit(stack.extproc.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(
            stack.extproc.pid,
            resource.RLIMIT_FSIZE,
            (resource.RLIM_INFINITY, resource.RLIM_INFINITY),
        )
