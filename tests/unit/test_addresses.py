"""Addresses: how they are written, which of them collide, and where a listener is reached."""

import re

import pytest
from harness.static_server import Answer, StaticServer

from extproc.addresses import (
    Address,
    bracketed,
    collide,
    host_fault,
    http_client,
    http_target,
    is_loopback,
    of_worker,
    parse_address,
    reachable,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9500", Address("127.0.0.1", 9500)),
        ("gateway-1.internal:65535", Address("gateway-1.internal", 65535)),
        ("key_cloak:80", Address("key_cloak", 80)),
        ("[::ffff:192.0.2.1]:80", Address("::ffff:192.0.2.1", 80)),
        ("[::1]:9500", Address("::1", 9500)),
        ("unix:/run/extproc.sock", Address(path="/run/extproc.sock")),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text
    assert parse_address(address) is address


@pytest.mark.parametrize(
    "value",
    [
        *("", "unix:", "host", ":9500", "::1:9500", "host:65536", "host:", "ho st:1", 9500, None),
        *("host:٨٠", "١.0.0.1:80", "[a]:80", "[....]:80", "[1]:80", "[::1%lo]:80", "[host]:80"),
        *("a..b:80", "...:80", "-:80", "-a:80", "999.1.1.1:80", "1.2.3:80", "1:80", "host:80\n"),
        "a" * 64 + ":80",
    ],
)
def test_what_is_no_address_is_refused_with_what_would_be_right(value: object) -> None:
    with pytest.raises(ValueError, match=r"host:port.*unix:/path"):
        parse_address(value)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/run/a\nb", "no control characters"),
        ("/run/a\0b", "no control characters"),
        ("@abstract", "does not begin with @"),
        ("/run/a%20b", "none of % [?] #"),
        ("/run/a?b", "none of % [?] #"),
        ("/run/" + "x" * 103, "107 bytes at most, and this one 108"),
        ("/run/" + "ö" * 52, "107 bytes at most, and this one 109"),
    ],
)
def test_a_path_is_one_that_envoy_grpc_and_the_kernel_read_alike(path: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        parse_address(f"unix:{path}")


def test_a_worker_s_path_may_become_too_long() -> None:
    longest = parse_address("unix:/" + "x" * 106)
    with pytest.raises(ValueError, match="this one 109"):
        of_worker(longest, 2)


@pytest.mark.parametrize(
    ("host", "text"),
    [("::1", "[::1]"), ("127.0.0.1", "127.0.0.1"), ("a.example", "a.example"), ("", "")],
)
def test_only_an_ipv6_address_gets_brackets(host: str, text: str) -> None:
    assert bracketed(host) == text


@pytest.mark.parametrize(
    ("listen", "number", "address"),
    [
        ("127.0.0.1:9500", 1, "127.0.0.1:9500"),
        ("127.0.0.1:9500", 3, "127.0.0.1:9502"),
        ("unix:/run/x.sock", 2, "unix:/run/x.2.sock"),
        ("unix:/run/x.d/socket", 2, "unix:/run/x.d/socket.2"),
        ("unix:/run/x", 2, "unix:/run/x.2"),
    ],
)
def test_each_worker_has_an_address_of_its_own(listen: str, number: int, address: str) -> None:
    assert str(of_worker(parse_address(listen), number)) == address


@pytest.mark.parametrize(("listen", "number"), [("127.0.0.1:0", 1), ("127.0.0.1:65535", 2)])
def test_a_port_that_there_is_not_is_no_worker_s(listen: str, number: int) -> None:
    with pytest.raises(ValueError, match=f"no port for worker {number}"):
        of_worker(parse_address(listen), number)


@pytest.mark.parametrize(
    ("one", "other", "collides"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "localhost:1", True),
        ("0.0.0.0:1", "192.0.2.1:1", True),
        ("[::]:1", "127.0.0.1:1", True),
        ("unix:/a", "unix:/a", True),
        ("unix:/x/a", "unix:/x//y/../a", True),
        ("unix://run/x.sock", "unix:/run/x.sock", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
        ("127.0.0.1:1", "192.0.2.1:1", False),
        ("unix:/a", "unix:/b", False),
        ("unix:/run/x.sock", "unix:run/x.sock", False),
        ("unix:/a", "127.0.0.1:1", False),
    ],
)
def test_two_listeners_collide_or_can_both_be_had(one: str, other: str, collides: bool) -> None:
    first, second = parse_address(one), parse_address(other)
    assert collide(first, second) is collides
    assert collide(second, first) is collides


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("0.0.0.0:9500", "127.0.0.1:9500"),
        ("[::]:9500", "[::1]:9500"),
        ("192.0.2.1:9500", "192.0.2.1:9500"),
        ("unix:/run/x", "unix:/run/x"),
    ],
)
def test_a_listener_on_every_address_is_reached_on_loopback(listen: str, address: str) -> None:
    assert str(reachable(parse_address(listen))) == address


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("app.localhost", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.example", False),
        ("192.0.2.1", False),
        ("app.example", False),
    ],
)
def test_loopback_is_known_without_a_lookup(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("127.0.0.1:9490", ("http://127.0.0.1:9490", None)),
        ("https://admin.example/x", ("https://admin.example/x", None)),
        ("unix:/run/admin.sock", ("http://localhost", "/run/admin.sock")),
    ],
)
def test_an_http_client_reaches_a_port_a_url_or_a_socket(
    place: str, target: tuple[str, str | None]
) -> None:
    assert http_target(place) == target


def test_a_socket_whose_path_is_none_is_no_target() -> None:
    with pytest.raises(ValueError, match="does not begin with @"):
        http_target("unix:@x")


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        ("app.example.com", None),
        ("my_app", None),
        ("10.1.2.3", None),
        ("[::1]", None),
        ("[2001:db8::1]", None),
        ("[::ffff:a01:203]", None),
        ("App.example", "lower case"),
        ("app.example.", "lower case"),
        ("app.example:80", "lower case"),
        ("a..b", "lower case"),
        ("-a", "lower case"),
        ("", "lower case"),
        ("127.1", "lower case"),
        ("010.0.0.1", "lower case"),
        ("a" * 64, "lower case"),
        ("a.b." * 64, "lower case"),
        ("::1", "lower case"),
        ("[::1%lo]", "no IPv6 address"),
        ("[0:0::1]", r"clients write as \[::1\]"),
        ("[2001:DB8::1]", r"clients write as \[2001:db8::1\]"),
        ("[::ffff:0:5]", None),
        ("[::ffff:10.1.2.3]", r"clients write as \[::ffff:a01:203\]"),
        ("[:::]", "no IPv6 address"),
        ("[a]", "no IPv6 address"),
    ],
)
def test_a_host_is_written_as_clients_send_it(host: str, fault: str | None) -> None:
    found = host_fault(host)
    assert found is None if fault is None else found is not None and re.search(fault, found)


def test_a_client_calls_a_port_or_a_socket_past_the_environment_s_proxies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with StaticServer() as server:
        server.answers["/livez"] = Answer.json({"live": True})
        with http_client(server.address, 5) as client:
            assert client.get("/livez").json() == {"live": True}
    with http_client("unix:/nowhere/extproc.sock", 5) as client:
        assert str(client.base_url) == "http://localhost"
