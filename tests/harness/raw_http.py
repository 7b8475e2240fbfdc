"""HTTP clients that send anything: bytes over HTTP/1.1, and HTTP/2 frames without a check.

sent(port, b"GET / HTTP/1.1\\r\\n...")               # all that comes back
with H2(port) as client:
    client.ask([(":method", "GET"), ("X-Upper", "1")])   # headers of the answer; None: no answer
"""

import contextlib
import socket
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions

Headers = list[tuple[str, str]]


def sent(port: int, data: bytes, wait: float = 10, *, until: bytes = b"") -> bytes:
    """All that comes back on one connection: until it is closed or silent, or has these bytes."""
    received = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), wait) as connection,
    ):
        # A server that refuses early also closes early. Its answer can be read all the same.
        with contextlib.suppress(OSError):
            connection.sendall(data)
        while (not until or until not in received) and (more := connection.recv(65536)):
            received += more
    return received


class H2:
    """One HTTP/2 connection with prior knowledge. Nothing that is sent is checked or corrected."""

    def __init__(self, port: int, wait: float = 10) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), wait)
        config = h2.config.H2Configuration(
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
            validate_inbound_headers=False,
        )
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def flush(self) -> None:
        self._socket.sendall(self.connection.data_to_send())

    def begin(self, headers: Headers, *, ends: bool = True) -> int:
        stream = self.connection.get_next_available_stream_id()
        self.connection.send_headers(stream, headers, end_stream=ends)
        self.flush()
        return stream

    def ask(self, headers: Headers) -> dict[str, str] | None:
        """The answer's headers, :status among them.

        None: the stream was reset, or the connection was closed.
        """
        try:
            return self.answer(self.begin(headers))
        except (OSError, h2.exceptions.ProtocolError):
            return None

    def answer(self, stream: int) -> dict[str, str] | None:
        """The headers of a stream's answer, once it has ended."""
        found: dict[str, str] | None = None
        while data := self._socket.recv(65536):
            for event in self.connection.receive_data(data):
                match event:
                    case h2.events.ResponseReceived(stream_id=id) if id == stream:
                        found = {_text(name): _text(value) for name, value in event.headers or []}
                    case h2.events.DataReceived():
                        self.connection.acknowledge_received_data(
                            event.flow_controlled_length or 0, event.stream_id
                        )
                    case h2.events.StreamEnded(stream_id=id) if id == stream:
                        self.flush()
                        return found
                    case h2.events.StreamReset(stream_id=id) if id == stream:
                        return found
                    case h2.events.ConnectionTerminated():
                        return found
            self.flush()
        return found


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
