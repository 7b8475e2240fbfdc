"""The ports, folders and users of one demo."""

import socket

import pytest

from extproc.demo.layout import PortTaken, lay_out


def test_the_ports_of_a_demo_differ(tmp_path):
    layout = lay_out(tmp_path, None)
    ports = {
        layout.gateway_port,
        layout.app_port,
        layout.idp_port,
        layout.listen_port,
        layout.admin_port,
        layout.envoy_admin_port,
    }
    assert len(ports) == 6


def test_a_port_that_is_taken_is_said(tmp_path):
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(PortTaken, match=str(taken.getsockname()[1])),
    ):
        lay_out(tmp_path, taken.getsockname()[1])


def test_without_a_port_the_demo_finds_one_although_8080_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8080))
            taken.listen()
        except OSError:
            # Another program has it: as good for this test.
            pass
        assert lay_out(tmp_path, None).gateway_port != 8080


def test_application_and_provider_are_behind_the_same_gateway_under_two_names(tmp_path):
    layout = lay_out(tmp_path, None)
    assert layout.app == f"http://localhost:{layout.gateway_port}/"
    assert layout.idp == f"http://127.0.0.1:{layout.gateway_port}/"
    assert layout.callback == f"{layout.app}oauth2/callback"
