"""A provider that costs next to nothing, for rows that measure the gateway and not the provider.

python -m benchmarks.provider HOST:PORT

It has no users: the code of a callback is the login's nonce, which the browser's side knows. GET
/bench/hold/SECONDS lets every token request wait so long. GET /bench/state returns how many wait,
and the seconds that the others took. Tests use harness.fake_provider instead.
"""

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs

from harness.tokens import Signer, public

ALG = "EdDSA"


class Provider:
    """The provider's answers, and how long they took.

    spent: seconds from a request's last byte to its answer, of /token and /me since the last
    /bench/state.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer, self.signer, self.held = issuer, Signer(ALG), 0
        self.spent: list[float] = []
        self.seconds = 0.0

    async def answer(self, path: str, body: bytes) -> object:
        match path:
            case "/.well-known/openid-configuration":
                ends = {"authorization": "/auth", "token": "/token", "userinfo": "/me"}
                named = {f"{name}_endpoint": self.issuer + end for name, end in ends.items()}
                return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/jwks", **named}
            case "/jwks":
                return {"keys": [public(ALG)]}
            case "/token":
                return await self._token(parse_qs(body.decode())["code"][0])
            case "/me":
                return {"sub": "alice", "email": "alice@example.com", "name": "Alice"}
            case "/bench/state":
                spent, self.spent = self.spent, []
                return {"held": self.held, "spent": sum(spent)}
        if path.startswith("/bench/hold/"):
            self.seconds = float(path.rpartition("/")[2])
        return {}

    async def _token(self, code: str) -> object:
        self.held += 1
        try:
            if self.seconds:
                await asyncio.sleep(self.seconds)
        finally:
            self.held -= 1
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "alice",
            "aud": "gateway",
            "exp": now + 600,
            "iat": now,
            "nonce": code,
        }
        token = self.signer.sign({**claims, "groups": ["dev"]})
        return {
            "access_token": "a" * 40,
            "token_type": "Bearer",
            "expires_in": 600,
            "id_token": token,
        }

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = next(
                    (
                        s.partition(":")[2]
                        for s in head.split("\r\n")
                        if s.lower()[:15] == "content-length:"
                    ),
                    0,
                )
                body = await reader.readexactly(int(length))
                path, started = head.split(" ", 2)[1].partition("?")[0], time.perf_counter()
                content = json.dumps(await self.answer(path, body)).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                    % (len(content), content)
                )
                if path in ("/token", "/me"):
                    self.spent.append(time.perf_counter() - started)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


async def main(address: str) -> None:
    host, _, port = address.rpartition(":")
    provider = Provider(f"http://{address}")
    server = await asyncio.start_server(provider.connection, host, int(port), backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
