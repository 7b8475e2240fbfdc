"""A processor that has too few file descriptors: it sheds, says so, and goes on."""

import resource
from collections import Counter

import trio
from rig.liar import Liar
from rig.processes import wait_until
from rig.stack import Stack

FEW, MANY = 64, 120  # descriptors in all; logins at once, each of which needs one


async def statuses(callbacks: list[tuple[str, str]], seen: list[int]) -> None:
    async def one(callback: str, cookies: str) -> None:
        host, _, path = callback.removeprefix("http://").partition("/")
        async with await trio.open_tcp_stream("127.0.0.1", int(host.rpartition(":")[2])) as stream:
            await stream.send_all(f"GET /{path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookies}\r\n\r\n".encode())
            seen.append(int((await stream.receive_some(12))[9:12] or 0))

    async with trio.open_nursery() as nursery:
        for callback, cookies in callbacks:
            nursery.start_soon(one, callback, cookies)


def test_a_processor_without_descriptors_sheds_logins_and_recovers() -> None:
    with Stack(Liar(behind=False), settings={"timeouts": {"call": 4, "callback": 8}}) as stack, stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200
        callbacks = []
        for _ in range(MANY):
            with stack.user() as other:
                callback = other.navigate(other.navigate(stack.url("/x")).headers["location"]).headers["location"]
                callbacks.append((callback, other.cookies.header(callback)))
        resource.prlimit(stack.extproc.pid, resource.RLIMIT_NOFILE, (FEW, FEW))
        seen: list[int] = []
        stack.provider.pause = lambda asked: 1.0 if asked.path == "/token" else 0.0
        trio.run(statuses, callbacks, seen)
        stack.provider.pause = lambda asked: 0.0
        counted = Counter(seen)
        assert len(seen) == MANY and set(counted) <= {303, 502, 503, 504} and counted[303] > 0, counted
        assert counted[303] < MANY, "it was never short"
        assert "internal_error" not in stack.extproc.output()
        user.cookies.drop("extproc-assertion-app")
        wait_until(lambda: user.navigate(stack.url("/private")).status_code == 200, 15)
        with stack.user() as other:
            wait_until(lambda: other.go(stack.url("/private")).status_code == 200, 15, every=0.2)
