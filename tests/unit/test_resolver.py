"""PerHostResolver: a name server that does not answer for one name holds up nobody who asks for
another.
"""

import socket
import threading

import trio

from extproc.resolver import AT_ONCE, NAMES, PerHostResolver

WELL = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))


class Hanging:
    """A lookup that does not come back for one name until it is let go."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), list[bytes]()

    def __call__(self, host, *_):
        if host == b"hangs.example":
            self.asked.append(host)
            self.go.wait(60)
        return [WELL]


async def test_a_name_that_hangs_takes_threads_of_its_own_only_and_whoever_waits_for_it_can_give_up():
    hanging = Hanging()
    names = PerHostResolver(hanging)
    try:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for _ in range(100):
                    nursery.start_soon(names.getaddrinfo, b"hangs.example", 443)
                while len(hanging.asked) < AT_ONCE:
                    await trio.sleep(0.01)
                assert await names.getaddrinfo(b"well.example", 443) == [WELL]
                nursery.cancel_scope.cancel()
            assert len(hanging.asked) == AT_ONCE
            assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            assert await names.getaddrinfo(b"well.example", 443) == [WELL], (
                "the threads of the other are still there"
            )
    finally:
        hanging.go.set()
    with trio.fail_after(30):
        assert await names.getaddrinfo(b"hangs.example", 443) == [WELL]


async def test_names_that_nobody_looks_up_any_more_are_forgotten():
    names = PerHostResolver(Hanging())
    for number in range(3 * NAMES):
        await names.getaddrinfo(b"%d.example" % number, 443)
    assert len(names) <= NAMES


async def test_a_lookup_is_the_system_s():
    assert ("127.0.0.1", 80) in [
        found[4] for found in await PerHostResolver().getaddrinfo(b"localhost", 80, socket.AF_INET)
    ]
    assert (
        await PerHostResolver().getnameinfo(
            ("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
        )
    )[1] == "80"
