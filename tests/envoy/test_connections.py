"""How long Envoy keeps a connection that asks for nothing."""

import socket
from contextlib import ExitStack, suppress

import pytest
from harness.envoy_world import Gateway


@pytest.mark.threat("bounds")
def test_a_connection_without_a_request_is_closed(plain: Gateway, tls: Gateway) -> None:
    """All at once, because each of them takes Envoy 10 or 15 seconds."""
    redirecting = tls.settings.gateway.redirect_listen
    assert redirecting is not None
    # To a listener of TLS, these bytes are no handshake either.
    ports = plain.client.port, tls.client.port
    silent = [(port, sent) for port in ports for sent in (b"", b"GET / HT")]
    with ExitStack() as open_ones:
        connections = []
        for port, sent in (*silent, (redirecting.port, b"")):
            address = ("127.0.0.1", port)
            connection = open_ones.enter_context(socket.create_connection(address, timeout=60))
            connection.sendall(sent)
            connections.append(connection)
        for connection in connections:
            with suppress(ConnectionResetError):
                while connection.recv(65536):
                    pass
