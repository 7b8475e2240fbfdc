"""A provider of many users for the soak, which at times is slow, broken or gone.

provider = TroubledProvider(random.Random(1))
provider.trouble = 0.3     # the share of the processor's requests that go wrong; 0, the default: none
provider.faults            # a Counter of the faults
"""

import random
import secrets
import time
from collections import Counter

from harness.fake_provider import FakeProvider
from harness.fake_server import Reply, Request
from harness.raw_answers import Script

FOREVER = 30.0  # seconds: longer than the processor waits
FAULTS = ("slow", "gone", "500", "503", "html", "silent")
TROUBLED = ("/token", "/me", "/jwks", "/revoke")
EVENT = "http://schemas.openid.net/event/backchannel-logout"


class TroubledProvider(FakeProvider):
    """A fault happens before the provider consumes anything, so it costs a user only time.

    A browser's cookie `who` at the provider names its user.
    """

    def __init__(self, rng: random.Random, expires_in: int = 20) -> None:
        super().__init__(expires_in=expires_in)
        self.trouble = 0.0
        self.faults: Counter[str] = Counter()
        self._rng = rng
        self._pending: dict[int, str] = {}  # by id() of the request: its fault

    def logout_token(self, user: str) -> str:
        """A logout token (Back-Channel Logout 2.4) for every session of this user."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "gateway",
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_hex(8),
            "sub": user,
            "events": {EVENT: {}},
        }
        return self.signer.sign(claims, typ="logout+jwt")

    def delay(self, request: Request) -> float:
        if request.path not in TROUBLED or self._rng.random() >= self.trouble:
            return 0.0
        fault = self._rng.choice(FAULTS)
        self.faults[fault] += 1
        self._pending[id(request)] = fault
        return {"slow": self._rng.uniform(0.2, 1.5), "silent": FOREVER}.get(fault, 0.0)

    def answer(self, request: Request) -> Reply | bytes | Script:
        match self._pending.pop(id(request), ""):
            case "gone" | "silent":
                return b""
            case "500" | "503" as status:
                return int(status), {"retry-after": "1"}, b"out of order"
            case "html":
                return 200, {"content-type": "text/html"}, b"<h1>It works!</h1>"
        return super().answer(request)

    def user_of(self, request: Request) -> str:
        return request.headers.get("cookie", "").partition("who=")[2].partition(";")[0]
