"""How long Envoy keeps a connection that asks for nothing."""

import socket
from contextlib import suppress

import pytest
from harness.envoy_world import Gateway


@pytest.mark.threat("bounds")
@pytest.mark.parametrize("sent", [b"", b"GET / HT"])
def test_a_connection_without_a_request_is_closed(
    plain: Gateway, tls: Gateway, sent: bytes
) -> None:
    """To a listener of TLS, these bytes are no handshake either."""
    for gateway in (plain, tls):
        address = ("127.0.0.1", gateway.client.port)
        with socket.create_connection(address, timeout=60) as connection:
            connection.sendall(sent)
            with suppress(ConnectionResetError):
                while connection.recv(65536):
                    pass


def test_a_silent_connection_to_the_redirecting_listener_is_closed_too(tls: Gateway) -> None:
    where = tls.settings.gateway.redirect_listen
    assert where is not None
    with (
        socket.create_connection(("127.0.0.1", where.port), timeout=60) as connection,
        suppress(ConnectionResetError),
    ):
        assert connection.recv(65536) == b""
