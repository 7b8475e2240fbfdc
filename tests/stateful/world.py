"""The whole gateway for the machine: the processor, a real Envoy on https, two providers, a clock.

    with World("sqlite") as world:
        browser = world.browser("alice")
        browser.go(world.at("/payroll/x"))
        world.received(number)         # what the application received of that request, or None
        world.ahead = 70               # seconds; for browsers, processor, providers, not for Envoy

`/` needs a login at `main`, `/payroll/` one with a second factor, `/partner/` one at `partner`,
which may lie. `/static/` and `/public/` need none. Only alice has a second factor.
"""

import mmap
import os
import ssl
import struct
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import httpx
from harness.echo import Received
from harness.fake_provider import FakeProvider, Login
from harness.gateway import Stack
from harness.processes import wait_until
from harness.providers import Place

import extproc
from stateful.browser import Browser
from stateful.counting import counted

SITE, HOST, SIBLING = "gw.test", "app.gw.test", "evil.gw.test"
MFA = ("alice", "p-alice")
SHIM = Path(__file__).parent / "shim"
STORES: Mapping[str, Mapping[str, Any]] = {
    "sqlite": {},
    "cookie": {"kind": "cookie", "path": None, "tombstones": {"path": "tombstones.sqlite3"}},
}


class Provider(FakeProvider):
    """A provider on the world's clock, whose users have the acr of the request if they can."""

    def __init__(self, now: Callable[[], float], client_id: str) -> None:
        super().__init__(
            behind=False, client={"client_id": client_id}, metadata={"userinfo_endpoint": None}
        )
        self._now = now
        self._client_id = client_id

    def id_token_claims(self, login: Login, nonce: str | None) -> dict[str, Any]:
        wanted = login.parameters.get("acr_values", "").split()
        acr = "mfa" if "mfa" in wanted and login.user in MFA else "pwd"
        now = int(self._now())
        claims = super().id_token_claims(login, nonce)
        return {**claims, "aud": self._client_id, "iat": now, "exp": now + 300, "acr": acr}


class World(Stack):
    """One gateway that many runs of the machine share. Each run has browsers of its own."""

    names: ClassVar[tuple[str, ...]] = (HOST, SIBLING, "localhost", "127.0.0.1")  # type: ignore[misc]

    def __init__(self, store: str, envoy: Path | None = None) -> None:
        self.store = store
        self._clock = self._open_clock()
        self.main, self.partner = (
            Provider(self.now, "gateway"),
            Provider(self.now, "gateway-partner"),
        )
        # It may be a copy with a patch.
        package = Path(extproc.__file__).parents[1]
        env = {
            "PYTHONPATH": f"{SHIM}:{package}",
            "PYTHON_WORLD_CLOCK": self._clock_file.name,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        super().__init__(settings=lambda _: self._own_settings(), tls=True, envoy=envoy, env=env)
        self.gateway = f"https://{HOST}:{self.port}"
        self._context: ssl.SSLContext | None = None
        self._browsers: list[Browser] = []
        # Only one client, because each new one reads all authorities.
        self._http = httpx.Client(verify=False, trust_env=False, timeout=60)

    # clocks

    def _open_clock(self) -> mmap.mmap:
        self._clock_file = tempfile.NamedTemporaryFile(prefix="world-clock-")  # noqa: SIM115 - as long as the world
        self._clock_file.write(struct.pack("d", 0.0))
        self._clock_file.flush()
        return mmap.mmap(self._clock_file.fileno(), 8)

    @property
    def ahead(self) -> float:
        seconds: float = struct.unpack("d", self._clock[:8])[0]
        return seconds

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._clock[:8] = struct.pack("d", seconds)

    def now(self) -> float:
        return time.time() + self.ahead

    # people

    def browser(
        self, user: str, seen: Callable[[Browser, str, str, httpx.Response], None]
    ) -> Browser:
        assert self.authority is not None
        self._context = self._context or self.authority.context()
        browser = Browser(
            user, verify=self._context, now=self.now, seen=seen, accounts=self._account
        )
        self._browsers.append(browser)
        return browser

    def close_browsers(self) -> None:
        while self._browsers:
            self._browsers.pop().close()

    def _account(self, user: str, url: str) -> dict[str, str]:
        """The user's account at a provider: the partner's accounts are others."""
        if url.startswith(self.main.url + "/"):
            return {"x-user": user}
        return {"x-user": f"p-{user}"} if url.startswith(self.partner.url + "/") else {}

    def at(self, path: str, host: str = HOST, scheme: str = "https") -> str:
        return f"{scheme}://{host}:{self.port}{path}"

    def received(self, number: str) -> Received | None:
        """What the application received of the request with this x-probe."""
        return next(
            (one for one in reversed(self.app.requests) if one.get("x-probe") == number), None
        )

    # its life

    def __enter__(self) -> "World":
        self.main.start()
        self.partner.start()
        super().__enter__()
        wait_until(self._knows_its_providers, 30, "the processor to know its providers")
        return self

    def __exit__(self, *_: object) -> None:
        self.close_browsers()
        super().__exit__()
        self._http.close()
        self.main.close()
        self.partner.close()
        self._clock_file.close()

    def _knows_its_providers(self) -> bool:
        return self._http.get(f"{self.admin}/readyz").status_code == 200

    def fault(self) -> str | None:
        """The part that no longer runs. None: all run."""
        if (code := self.extproc.exit_code) is not None:
            return f"the processor ended with {code}:\n{self.extproc.tail(12)}"
        if (code := self.envoy.process.exit_code) is not None:
            return f"Envoy ended with {code}:\n{self.envoy.process.tail(12)}"
        try:
            status = self._http.get(f"{self.admin}/livez").status_code
        except httpx.HTTPError as error:
            return f"the processor's /livez: {error!r}"
        return None if status == 200 else f"the processor's /livez: {status}"

    def make_whole(self) -> None:
        """Repair everything, whatever a run did to it."""
        self.main.reset()
        self.partner.reset()
        self.ahead = 0.0
        self.app.requests.clear()
        if self.envoy.process.exit_code is not None:
            self.stop_envoy()
            self.start_envoy()
        if self.fault() is not None:
            self.extproc.kill()
            self.start_extproc()
        wait_until(self._knows_its_providers, 60, "the processor to know its providers")

    def taken_in(self) -> None:
        """Wait until the processor has acted on the partner's answer: it asks again, or is gone."""
        before = len(self.partner.requests_to("/.well-known/openid-configuration"))
        wait_until(
            lambda: (
                self.extproc.exit_code is not None
                or len(self.partner.requests_to("/.well-known/openid-configuration")) >= before + 2
            ),
            30,
            "the processor to ask the partner",
        )

    # its settings

    def envoy_config(self) -> str:
        return counted(super().envoy_config())

    def _own_settings(self) -> dict[str, Any]:
        place = Place(self.origin, (), Path(os.curdir), None)
        page = {"hosts": [HOST], "upstream": self.app.url}
        return {
            "gateway": {"url": self.gateway},
            "store": STORES[self.store],
            "tracing": {"sample": 0},
            "providers": {
                "main": self.main.settings(place),
                "partner": self.partner.settings(place),
            },
            "applications": {
                "app": {"hosts": [HOST]},
                "payroll": {
                    **page,
                    "path_prefix": "/payroll/",
                    "provider": "main",
                    "acr_values": ["mfa"],
                },
                "partner": {**page, "path_prefix": "/partner/", "provider": "partner"},
                "static": {**page, "path_prefix": "/static/", "exclude": True},
            },
        }
