"""Links (harness/fault_proxy.py) cause each fault as their docstring describes it."""

import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest
from harness.fault_proxy import Link, Network


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(100):
            self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def link() -> Iterator[Link]:
    with EchoServer(("127.0.0.1", 0), Echo) as server, Network() as network:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield network.link(server.server_address[1])
        server.shutdown()


def connected(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=60)


def echoed(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    received = b""
    # The answer may arrive in pieces.
    while len(received) < len(data):
        received += connection.recv(100) or pytest.fail(f"the connection ended after {received!r}")
    return received


@pytest.mark.parametrize("requests", [False, True])
def test_corrupt_is_one_byte_of_every_connection(link: Link, requests: bool) -> None:
    """A client connects again after corrupted bytes that no request waited for.

    The next request must meet the fault as well.
    """
    with connected(link) as before, connected(link) as other:
        assert echoed(before, b"abc") == echoed(other, b"abc") == b"abc"
        with link.fault("corrupt", after=1, requests=requests) as fault:
            assert echoed(before, b"abc") == echoed(other, b"abc") == b"a\x9dc"
            assert echoed(before, b"abc") == b"abc"
            with connected(link) as new:
                assert echoed(new, b"abc") == b"a\x9dc"
            assert fault.struck == 3
        assert echoed(other, b"abc") == b"abc"
