"""A provider for many people, who are known there by a cookie, and which now and then is slow,
broken or gone.

crowd = Crowd(random.Random(1))
crowd.trouble = 0.3            # so many of the processor's requests go wrong; 0: none, the default
crowd.faults                   # Counter of what was done to them
"""

import random
import secrets
import time
from collections import Counter
from typing import Any

from harness.fake_provider import Asked, Liar, Reply

FOREVER = 30.0  # seconds: longer than the processor waits
FAULTS = ("slow", "gone", "500", "503", "html", "silent")
TROUBLED = ("/token", "/me", "/jwks", "/revoke")
EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Crowd(Liar):
    """A fault comes before anything is consumed, so that a person loses nothing by it but time."""

    def __init__(self, rng: random.Random, expires_in: int = 20) -> None:
        super().__init__(expires_in=expires_in)
        self.trouble = 0.0
        self.faults: Counter[str] = Counter()
        self._rng = rng
        self._who: dict[str, str] = {}  # by code and by refresh token
        self._doom: dict[int, str] = {}  # by the request's identity: what is done to it
        self.pause = self._pause

    def logout_token(self, user: str) -> str:
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": "gateway",
            "iat": now,
            "exp": now + 60,
            "jti": secrets.token_hex(8),
        }
        return self.signer.sign({**claims, "sub": user, "events": {EVENT: {}}}, typ="logout+jwt")

    def forget(self) -> None:
        """What was asked so far: a soak is long."""
        for kept in (self.asked, self.redeemed, self.revoked, self.grants):
            kept.clear()

    def _pause(self, asked: Asked) -> float:
        if asked.path not in TROUBLED or self._rng.random() >= self.trouble:
            return 0.0
        fault = self._rng.choice(FAULTS)
        self.faults[fault] += 1
        self._doom[id(asked)] = fault
        return {"slow": self._rng.uniform(0.2, 1.5), "silent": FOREVER}.get(fault, 0.0)

    def _truth(self, asked: Asked) -> Reply | bytes:  # type: ignore[override]
        match self._doom.pop(id(asked), ""):
            case "gone" | "silent":
                return b""
            case "500" | "503" as status:
                return int(status), {"retry-after": "1"}, b"out of order"
            case "html":
                return 200, {"content-type": "text/html"}, b"<h1>It works!</h1>"
        if asked.path == "/me":
            self.user = (
                asked.headers.get("authorization", "").removeprefix("Bearer at-").partition("-")[0]
            )
        return super()._truth(asked)

    def _authorize(self, asked: Asked) -> Reply:
        reply = super()._authorize(asked)
        code = next(reversed(self._codes))
        self._who[code] = asked.headers.get("cookie", "").partition("who=")[2].partition(";")[0]
        return reply

    def _redeem(self, asked: Asked) -> Reply:
        used = asked.form.get("refresh_token") or asked.form.get("code", "")
        self.user = self._who.pop(used, "nobody")
        return super()._redeem(asked)

    def _tokens(self, nonce: str | None, login: str | None, named: str = "") -> dict[str, Any]:
        tokens = super()._tokens(nonce, login)
        self._who[tokens["refresh_token"]] = self.user
        return tokens
