"""A provider that tells the truth until it is told to lie: any claim, any signature, any answer,
held as long as a test likes.

    with Stack(Liar()) as stack, stack.user() as user:
        stack.provider.claims["iss"] = "https://evil.example"       # laid over the right ID token;
        None takes one away stack.provider.answers["/token"] = lambda asked: (500, {}, b"")  # or
        bytes: exactly these go on the wire, then it closes;
                                                                          # or a list of rig.lies:
                                                                          bytes, waits, resets
        with stack.provider.holding("/token"): ...                  # requests wait there;
        stack.provider.held says how many

Refresh tokens are good once: the second use of one ends all that came of its login, as careful
providers do. `grants` has the refresh tokens that came, in order; `refreshed` is laid over the
answer to them, `expires_in` is an access token's life.

It asks nobody for a password: /auth answers with the redirect at once, for `user` or whom the
header x-user names. It serves in a thread of its own on loopback.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import secrets
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from harness.lies import Script, play
from harness.providers import SECRET, Place
from harness.tokens import Signer, public

RESET = struct.pack("ii", 1, 0)  # close is a reset
Reply = tuple[int, dict[str, str], bytes]
Answer = Callable[["Asked"], "Reply | bytes | Script"]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]


@dataclass
class Liar:
    """Behind the gateway when `behind`, else reached directly. Everything may be changed while it
    runs.
    """

    behind: bool = True
    user: str = "alice"
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    keys: list[Any] = field(default_factory=lambda: [public("RS256")])
    signer: Signer = field(default_factory=Signer)
    callback: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    client: dict[str, Any] = field(default_factory=dict)
    waits: bool = False  # its page waits for a click, and nobody is signed in before
    gateway_port: int | None = None
    asked: list[Asked] = field(default_factory=list)
    redeemed: list[str] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    expires_in: int = 300
    refreshed: dict[str, Any] = field(default_factory=dict)
    grants: list[str] = field(default_factory=list)
    held: int = 0
    pause: Callable[[Asked], float] = lambda asked: 0.0  # seconds before an answer

    def __post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.upstream: str | None = self.url if self.behind else None
        self.issuer = self.url
        self._codes: dict[str, dict[str, str]] = {}
        self._logins: dict[str, str] = {}  # refresh token: the first one of its login
        self._newest: dict[str, str] = {}  # that one: the one that is good now
        self._whose: dict[str, str] = {}  # access token: whom x-user named
        self._held_paths: set[str] = set()
        self._may_hold = 0
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        # not by policy: trio_asyncio, once imported, has one of its own
        self._loop = asyncio.SelectorEventLoop()
        self._go, self._over = asyncio.Event(), asyncio.Event()
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._serve()), name="liar", daemon=True
        )

    # as a Provider

    def open(self, place: Place) -> None:
        self.issuer = place.origin if self.behind else self.url
        self.start()

    def start(self) -> None:
        """SingleProcess, as another provider than the stack's own."""
        self._thread.start()

    def settings(self, place: Place) -> dict[str, Any]:
        issuer = place.origin if self.behind else self.url
        ca = (
            {"ca_file": str(place.ca_file)} if place.ca_file and issuer.startswith("https:") else {}
        )
        return {
            "issuer": issuer,
            "client_id": "gateway",
            "client_secret": SECRET,
            **ca,
            **self.client,
        }

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(60)
        self._listening.close()
        if not self._loop.is_running():
            self._loop.close()

    # for tests

    @contextlib.contextmanager
    def holding(self, *paths: str, most: int = 1_000_000) -> Iterator[None]:
        """The next requests to these paths, so many, wait until the block ends."""
        self._loop.call_soon_threadsafe(self._go.clear)
        self._held_paths, self._may_hold = set(paths), most
        try:
            yield
        finally:
            self._held_paths = set()
            self._loop.call_soon_threadsafe(self._go.set)

    def kill(self) -> None:
        """As if its process were killed: nothing listens any more, and every connection is reset.
        What it knows it still knows.
        """
        self._in_its_thread(self._cut)

    def restart(self) -> None:
        """On the same port."""
        port = int(self.url.rpartition(":")[2])
        self._listening = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._in_its_thread(self._listen)

    def seen(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    # the wire

    def _in_its_thread(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await work()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result(60)

    async def _serve(self) -> None:
        await self._listen()
        await self._over.wait()
        self._server.close()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, sock=self._listening, limit=1 << 20
        )

    async def _cut(self) -> None:
        self._server.close()
        for task, writer in list(self._connections.items()):
            with contextlib.suppress(OSError):  # closed already by the other side
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, RESET
                )
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._exchange(reader, writer):
                    pass
        finally:
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            del self._connections[task]

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:-2])
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        parts = urlsplit(target)
        asked = Asked(
            method,
            parts.path,
            dict(parse_qsl(parts.query)),
            dict(parse_qsl(body.decode())),
            headers,
        )
        self.asked.append(asked)
        if asked.path in self._held_paths and self._may_hold > 0:
            self._may_hold -= 1
            self.held += 1
            try:
                await self._go.wait()
            finally:
                self.held -= 1
        if (seconds := self.pause(asked)) > 0:
            await asyncio.sleep(seconds)
        answer = (self.answers.get(asked.path) or self._truth)(asked)
        if isinstance(answer, bytes | list):
            await play([answer] if isinstance(answer, bytes) else answer, writer)
            return False
        status, said, content = answer
        lines = [
            f"HTTP/1.1 {status} Said",
            f"content-length: {len(content)}",
            *(f"{name}: {value}" for name, value in said.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + content)
        await writer.drain()
        return True

    # the truth

    def _truth(self, asked: Asked) -> Reply:
        match asked.path:
            case "/.well-known/openid-configuration":
                return _json(self._document())
            case "/jwks":
                return _json({"keys": self.keys})
            case "/auth":
                return self._authorize(asked)
            case "/token":
                return self._redeem(asked)
            case "/me":
                user = self._whose.get(
                    asked.headers.get("authorization", "").removeprefix("Bearer "), self.user
                )
                said = {
                    "sub": user,
                    "email": f"{user}@example.com",
                    "name": user.title(),
                    **self.userinfo,
                }
                return _json({name: value for name, value in said.items() if value is not None})
            case "/revoke":
                self.revoked.append(asked.form.get("token", ""))
                return 200, {}, b""
            case "/logout":
                back = (
                    asked.query.get("post_logout_redirect_uri", "/")
                    + "?"
                    + urlencode({"state": asked.query.get("state", "")})
                )
                return 303, {"location": back}, b""
        return 404, {}, b""

    def _document(self) -> dict[str, Any]:
        ends = {
            "authorization_endpoint": "/auth",
            "token_endpoint": "/token",
            "jwks_uri": "/jwks",
            "userinfo_endpoint": "/me",
            "revocation_endpoint": "/revoke",
            "end_session_endpoint": "/logout",
        }
        document = {
            "issuer": self.issuer,
            **{name: self.issuer + path for name, path in ends.items()},
            **self.metadata,
        }
        return {name: value for name, value in document.items() if value is not None}

    def _authorize(self, asked: Asked) -> Reply:
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked.query | {"user": asked.headers.get("x-user") or self.user}
        back = {"code": code, "state": asked.query["state"], **self.callback}
        query = urlencode({name: value for name, value in back.items() if value is not None})
        location = f"{asked.query['redirect_uri']}?{query}"
        if self.waits:
            return (
                200,
                {"content-type": "text/html"},
                f'<a href="{escape(location)}">Sign in</a>'.encode(),
            )
        return 303, {"location": location}, b""

    def _refresh(self, asked: Asked) -> Reply:
        token = asked.form.get("refresh_token", "")
        self.grants.append(token)
        login = self._logins.get(token, "")
        if self._newest.get(login) != token:
            # it was used before: whoever has the newer one is out as well
            self._newest.pop(login, None)
            return _json({"error": "invalid_grant"}, 400)
        said = {**self._tokens(None, login), **self.refreshed}
        return _json({name: value for name, value in said.items() if value is not None})

    def _redeem(self, asked: Asked) -> Reply:
        if asked.form.get("grant_type") == "refresh_token":
            return self._refresh(asked)
        started = self._codes.pop(asked.form.get("code", ""), None)
        challenge = (
            base64.urlsafe_b64encode(
                hashlib.sha256(asked.form.get("code_verifier", "").encode()).digest()
            )
            .rstrip(b"=")
            .decode()
        )
        if (
            started is None
            or started["code_challenge"] != challenge
            or started["redirect_uri"] != asked.form.get("redirect_uri")
        ):
            return _json({"error": "invalid_grant"}, 400)
        self.redeemed.append(asked.form["code"])
        return _json(self._tokens(started.get("nonce"), None, started["user"]))

    def _tokens(self, nonce: str | None, login: str | None, named: str = "") -> dict[str, Any]:
        """nonce: of a login. login: the first refresh token of the one that is refreshed. named: by
        x-user.
        """
        now, user = int(time.time()), named or self.user
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": "gateway",
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            "groups": ["dev"],
            **self.claims,
        }
        token = self.signer.sign(
            {name: value for name, value in claims.items() if value is not None}, **self.header
        )
        refresh_token = f"rt-{secrets.token_hex(8)}"
        self._logins[refresh_token] = login or refresh_token
        self._newest[login or refresh_token] = refresh_token
        access_token = f"at-{user}-{secrets.token_hex(8)}"
        if named:
            self._whose[access_token] = named
        return {
            "access_token": access_token,
            "refresh_token": refresh_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "id_token": token,
        }


def _json(value: object, status: int = 200) -> Reply:
    return status, {"content-type": "application/json"}, json.dumps(value).encode()
