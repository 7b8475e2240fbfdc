"""An MCP server that knows nothing of OAuth, behind the gateway: the client of PyPI `mcp` finds out
where to get a token, registers there, has its user sign in, and calls a tool.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness.envoy import envoys
from harness.gateway import Stack
from harness.mcp_client import McpClient
from harness.oidc_provider import OidcProvider
from harness.ports import answers, free_port
from harness.processes import Process
from harness.tokens import payload

SERVER = Path(__file__).parents[1] / "harness" / "mcp_server.py"
RULES: list[dict[str, Any]] = [
    {
        "name": "mcp",
        "paths": ["/mcp"],
        "accept": ["bearer"],
        "allow": {"scopes": ["orders:read"]},
    }
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the MCP server."""
    port = free_port()
    log = tmp_path_factory.mktemp("mcp") / "mcp.log"
    process = Process("mcp", [sys.executable, SERVER, str(port)], log=log)
    process.wait_ready(lambda: answers(port), 60)
    yield f"http://127.0.0.1:{port}"
    process.stop(5)


@pytest.fixture(scope="module", params=envoys())
def stack(request: pytest.FixtureRequest, server: str) -> Iterator[Stack]:
    settings = {"applications": {"app": {"upstream": server, "rules": RULES}}}
    with Stack(OidcProvider(), settings=settings, envoy=envoys()[request.param]) as stack:
        yield stack


def test_a_client_finds_its_way_in_and_the_server_learns_who_its_user_is(stack: Stack) -> None:
    with stack.user("alice") as user:
        client = McpClient(stack.url("/mcp"), user)
        headers = client.call("whoami")
        # The server learns who calls, and never gets the token.
        assert headers["x-auth-sub"] == "alice"
        assert headers["x-auth-email"] == "alice@example.test"
        assert "authorization" not in headers
        assert [request[:2] for request in client.requests[:2]] == [
            ("POST", stack.url("/mcp")),
            ("GET", stack.url("/.well-known/oauth-protected-resource")),
        ]
        assert [request[2] for request in client.requests[:2]] == [401, 200]
        # It asked for what the challenge names, and for this resource.
        (asked,) = client.authorizations
        assert asked["resource"] == stack.url("/") and "orders:read" in asked["scope"].split()
        assert client.storage.tokens is not None and client.storage.client is not None
        claims = payload(client.storage.tokens.access_token)
        assert claims["aud"] == stack.url("/") and claims["sub"] == "alice"
        assert claims["client_id"] == client.storage.client.client_id != "gateway"
        # Its next calls need neither metadata nor a user.
        client.requests.clear()
        assert client.call("whoami")["x-auth-sub"] == "alice"
        assert {(url, status) for _, url, status in client.requests} == {(stack.url("/mcp"), 200)}


def test_each_request_of_a_client_without_a_token_says_where_to_get_one(stack: Stack) -> None:
    accepts = {"accept": "application/json, text/event-stream"}
    metadata = stack.url("/.well-known/oauth-protected-resource")
    for method in ("POST", "GET", "DELETE"):
        answer = httpx.request(method, stack.url("/mcp"), headers=accepts, trust_env=False)
        challenge = answer.headers["www-authenticate"]
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert challenge.startswith("Bearer ") and "error=" not in challenge
        assert f'resource_metadata="{metadata}"' in challenge and 'scope="orders:read"' in challenge


@pytest.mark.parametrize("path", ["", "/mcp"])
def test_the_document_names_the_resource_and_its_provider(stack: Stack, path: str) -> None:
    """Clients that read no challenge try the path of the server first, then none."""
    answer = httpx.get(
        stack.url(f"/.well-known/oauth-protected-resource{path}"),
        headers={"mcp-protocol-version": "2026-07-28", "origin": "https://inspector.example"},
        trust_env=False,
    )
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json() == {
        "resource": stack.url("/"),
        "authorization_servers": [stack.place.origin],
        "scopes_supported": ["orders:read"],
        "bearer_methods_supported": ["header"],
    }
