"""Applications with names of their own for identity headers: on the fast path, by the processor,
and never from a client.
"""

from collections.abc import Iterator

import pytest
from harness.envoy_parts import Asked
from harness.envoy_world import Gateway, World

NAMES = ("x-webauth-user", "x-webauth-groups", "remote-user", "x-forwarded-user")


@pytest.fixture(scope="module")
def named(world: World) -> Iterator[Gateway]:
    app = {"upstream": world.upstream.url, "provider": "main"}
    applications: dict[str, object] = {
        "main": {
            **app,
            "hosts": ["app.test"],
            "public_paths": ["/public/"],
            "identity": {
                "preset": "grafana",
                "headers": {
                    "remote-user": "sub",
                    "x-webauth-name": {"claim": "name", "encoding": "raw"},
                },
            },
        },
        "other": {
            **app,
            "hosts": ["other.test"],
            "url": "http://other.test/",
            "rules": [{"name": "open", "paths": ["/open/"], "login": "none"}],
            "identity": {"preset": "oauth2-proxy"},
        },
        "plain": {"upstream": world.upstream.url, "hosts": ["plain.test"], "exclude": True},
    }
    with world.gateway("named", applications) as gateway:
        yield gateway


def test_an_assertion_becomes_the_headers_of_its_application(
    named: Gateway, world: World, asked: list[Asked]
) -> None:
    cookie = named.cookie("main", x_webauth_user="alice", remote_user="alice", x_auth_sub="no")
    assert named.client.get("/", "x-webauth-user: EVIL", cookie=cookie).status == 200
    (received,) = world.upstream.received
    assert [received.values(name) for name in NAMES] == [["alice"], [], ["alice"], []]
    assert received.values("x-auth-sub") == [] and asked == []


def test_a_value_of_plain_utf_8_reaches_the_application(
    named: Gateway, world: World, asked: list[Asked]
) -> None:
    cookie = named.cookie("main", x_webauth_user="alice", x_webauth_name="Zoë 北京")
    assert named.client.get("/", cookie=cookie).status == 200
    (received,) = world.upstream.received
    assert "x-webauth-name: Zoë 北京\r\n".encode() in received.raw + b"\r\n" and asked == []


@pytest.mark.attack("HDR-01")
@pytest.mark.threat("spoofed-identity")
@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("app.test", "/public/x"),
        ("app.test", "/?stub=continue"),
        ("other.test", "/open/x"),
        ("other.test", "/?stub=continue"),
        ("plain.test", "/"),
    ],
)
def test_no_client_sends_the_name_of_any_application_to_any(
    named: Gateway, world: World, host: str, path: str
) -> None:
    spoofed = [f"{name}: EVIL" for name in NAMES]
    odd = ["X.WebAuth.User: EVIL", "Remote~User: EVIL", "X-WEBAUTH-USER: EVIL"]
    assert named.client.get(path, *spoofed, *odd, host=host).status == 200
    assert b"EVIL" not in world.upstream.received[0].raw
