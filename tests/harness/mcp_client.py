"""The client of PyPI `mcp`, with its own OAuth, and a person at a browser who signs in.

client = McpClient("http://localhost:8080/mcp", WebUser("alice"))
client.call("whoami")       # what the tool answered
client.requests             # (method, url, status) of every request, in order
"""

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.to_thread
import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthToken,
)

from harness.browser import WebUser

# Nobody listens there: the browser stops at the redirect to it.
CALLBACK = "http://127.0.0.1:9/callback"


class Storage:
    """What the client keeps: its registration and its tokens."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class McpClient:
    """A client of one MCP server, which keeps its registration and tokens from call to call.

    Args:
        url: The server's endpoint.
        user: The browser in which its user signs in and consents.
        asks: Scopes that it asks for by itself; those of the server's answers come on top.
    """

    def __init__(self, url: str, user: WebUser) -> None:
        self.url, self.user = url, user
        self.storage = Storage()
        self.requests: list[tuple[str, str, int]] = []
        self.authorizations: list[dict[str, str]] = []  # parameters of authorization requests
        self._callback: dict[str, str] = {}

    def call(self, tool: str, **arguments: object) -> Mapping[str, Any]:
        """Connect, call a tool and disconnect: the structured answer.

        Raises:
            ExceptionGroup, McpError: The server could not be reached, or refused.
        """
        return anyio.run(partial(self._call, tool, arguments), backend="asyncio")

    async def _call(self, tool: str, arguments: dict[str, object]) -> Mapping[str, Any]:
        auth = OAuthClientProvider(
            self.url,
            OAuthClientMetadata(
                redirect_uris=[CALLBACK],
                token_endpoint_auth_method="none",
                client_name="a client of the tests",
            ),
            self.storage,
            self._sign_in,
            self._code,
        )
        hooks = {"response": [self._note]}
        async with (
            httpx2.AsyncClient(auth=auth, timeout=60, trust_env=False, event_hooks=hooks) as http,
            Client(streamable_http_client(self.url, http_client=http)) as client,
        ):
            answer = await client.call_tool(tool, arguments)
        assert not answer.is_error, answer
        return answer.structured_content or {}

    async def _note(self, response: httpx2.Response) -> None:
        request = response.request
        self.requests.append((request.method, str(request.url), response.status_code))

    async def _sign_in(self, url: str) -> None:
        self.authorizations.append(dict(parse_qsl(urlsplit(url).query)))
        browse = partial(self.user.go, url, stop=CALLBACK)
        answer = await anyio.to_thread.run_sync(browse)
        self._callback = dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    async def _code(self) -> AuthorizationCodeResult:
        return AuthorizationCodeResult(**self._callback)
