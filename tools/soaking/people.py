"""Users of a gateway, each in a thread of its own, who do all that users do and check the answers.

Findings (`Findings.wrong`) are an answer that is not DOCUMENTED for a deed, a page of another user,
a session that ends by itself, and a session that outlives its end.
"""

import contextlib
import random
import secrets
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
from harness.browser import WebUser
from harness.cookie_jar import Cookie
from harness.gateway import Stack

from soaking.provider import TroubledProvider

# Seconds between two deeds of a user.
BREATH = 0.02
RESET = struct.pack("ii", 1, 0)  # close is a reset
# The statuses of provider failures (extproc/core/provider_errors.py).
TROUBLE = {502, 503, 504}
# With those of a provider in trouble.
DOCUMENTED = {
    "page": {200} | TROUBLE,
    "asked": {200} | TROUBLE,
    "login": {200} | TROUBLE,
    "refused": {403} | TROUBLE,
    "forged": {400},
    "tampered": {303},
    "logout": {303},
    "ended": {401},
    "backchannel": {200} | TROUBLE,
}


@dataclass
class Findings:
    """The answers that users got, and what was wrong with them.

    answers: how often each deed got each status. wrong: what must not happen. killing: workers are
    killed meanwhile, with their requests in progress. Then a request gets 503, a login starts again
    (400 for its callback), and a refresh whose answer is lost ends its session.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    killing: bool = False
    # Pages whose user was compared with the owner of the cookie.
    compared: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def saw(self, deed: str, answer: httpx.Response) -> int:
        status = answer.status_code
        self.count(deed, status)
        if status not in DOCUMENTED[deed] | ({400, 503} if self.killing else set()):
            self.say(f"{deed}: {status} {answer.headers.get('location', '')} {answer.text[:300]!r}")
        return status

    def count(self, deed: str, status: int = 0) -> None:
        with self._lock:
            self.answers[deed, status] += 1

    def compare(self, name: str, page: httpx.Response) -> None:
        """Compare the user of a page that the application echoed."""
        headers = dict(page.json()["headers"])
        seen = headers.get("x-auth-sub"), headers.get("x-auth-email")
        with self._lock:
            self.compared += 1
        if seen != (name, f"{name}@example.com"):
            self.say(f"CROSS-USER: {name} is shown as {seen}")

    def say(self, what: str) -> None:
        with self._lock:
            if len(self.wrong) < 50:
                self.wrong.append(f"{time.strftime('%H:%M:%S')} {what}")


class Person:
    """A user with a browser, until `over` is set."""

    def __init__(
        self,
        name: str,
        stack: Stack,
        provider: TroubledProvider,
        findings: Findings,
        rng: random.Random,
        over: threading.Event,
    ) -> None:
        self.name, self._stack, self._provider, self._findings = name, stack, provider, findings
        self._rng, self._over = rng, over
        self._user = self._browser()
        self._signed_in = False
        self._thread = threading.Thread(target=self._live, name=name)

    def start(self) -> None:
        self._thread.start()

    def join(self) -> None:
        self._thread.join()
        self._user.close()

    def _browser(self) -> WebUser:
        user = self._stack.user(self.name)
        user.cookies.put(
            Cookie("who", self.name, "127.0.0.1", "/", False, False, True, "lax", None)
        )
        return user

    def _live(self) -> None:
        deeds: dict[Callable[[], None], int] = {
            self._page: 30,
            self._asked: 30,
            self._reset: 12,
            self._aborted: 12,
            self._tampered: 4,
            self._logout: 3,
            self._backchannel: 2,
        }
        while not self._over.wait(BREATH * self._rng.uniform(0.5, 1.5)):
            self._user.hops.clear()
            deed = self._rng.choices(list(deeds), list(deeds.values()))[0]
            try:
                (
                    deed
                    if self._signed_in or deed in (self._aborted, self._tampered)
                    else self._login
                )()
            # These connections are never reset by the soak.
            except httpx.TransportError as error:
                self._findings.say(f"{deed.__name__}: no answer: {error!r}")
            except Exception as error:
                self._findings.say(f"{deed.__name__}: {error!r}\n{self._user.journey()}")

    # deeds

    def _login(self) -> None:
        answer = self._user.go(self._url())
        if self._findings.saw("login", answer) == 200:
            self._findings.compare(self.name, answer)
            self._signed_in = True

    def _page(self, deed: str = "page") -> None:
        answer = self._user.navigate(self._url())
        if answer.status_code == 303:
            self._signed_in = False
            self._findings.count("signed out", 303)
            if not self._findings.killing:
                self._findings.say(
                    f"{deed}: {self.name} was signed out: {answer.headers.get('set-cookie')}"
                )
        elif self._findings.saw(deed, answer) == 200:
            self._findings.compare(self.name, answer)

    def _asked(self) -> None:
        """Request a page without the assertion.

        The processor decides, renews the assertion, and refreshes the tokens if they are due.
        """
        self._user.cookies.drop("extproc-assertion-app")
        self._page("asked")

    def _reset(self) -> None:
        self._user.cookies.drop("extproc-assertion-app")
        head = f"GET /reset HTTP/1.1\r\nhost: localhost:{self._stack.port}\r\naccept: text/html\r\n"
        self._raw(f"{head}cookie: {self._user.cookies.header(self._stack.url('/'))}\r\n\r\n")

    def _aborted(self) -> None:
        """Start a login in another browser and do not complete it."""
        with self._browser() as user:
            started = user.navigate(self._url())
            if started.status_code != 303:
                self._findings.saw("login", started)
                return
            callback = user.navigate(started.headers["location"]).headers["location"]
            match self._rng.choice(("left", "reset", "refused", "forged")):
                case "reset":
                    target = callback[len(self._stack.gateway) :]
                    head = f"GET {target} HTTP/1.1\r\nhost: localhost:{self._stack.port}\r\n"
                    self._raw(f"{head}cookie: {user.cookies.header(callback)}\r\n\r\n")
                case "refused":
                    state = httpx.URL(callback).params["state"]
                    query = {"error": "access_denied", "state": state}
                    self._findings.saw(
                        "refused", user.navigate(str(httpx.URL(callback, params=query)))
                    )
                case "forged":
                    forged = httpx.URL(callback).copy_set_param("state", secrets.token_urlsafe(16))
                    self._findings.saw("forged", user.navigate(str(forged)))

    def _tampered(self) -> None:
        with self._browser() as user:
            stolen = f"extproc-session-app={secrets.token_urlsafe(32)}"
            headers = {
                "accept": "text/html",
                "sec-fetch-mode": "navigate",
                "sec-fetch-dest": "document",
            }
            self._findings.saw(
                "tampered", user.request("GET", self._url(), headers=headers, cookies=stolen)
            )

    def _logout(self) -> None:
        before = self._session()
        out = self._user.navigate(
            self._stack.url("/oauth2/logout"), "POST", page=self._stack.url("/"), content=b""
        )
        if self._findings.saw("logout", out) == 303:
            self._ended(before)

    def _backchannel(self) -> None:
        before, token = self._session(), self._provider.logout_token(self.name)
        form = f"logout_token={token}".encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        where = self._stack.url("/oauth2/backchannel-logout")
        out = self._user.request("POST", where, headers=headers, content=form, cookies="")
        if self._findings.saw("backchannel", out) == 200:
            self._ended(before)
            # A session that begins within the second of the logout's `iat` would be ended by it.
            self._over.wait(1.1)

    # checks

    def _url(self) -> str:
        return self._stack.url(f"/{self.name}/{self._rng.randrange(1000)}")

    def _session(self) -> str:
        self._user.cookies.drop("extproc-assertion-app")
        return self._user.cookies.header(self._stack.url("/"))

    def _ended(self, cookies: str) -> None:
        self._signed_in = False
        self._user.cookies.drop("extproc-assertion-app", "extproc-session-app")
        answer = self._user.request("GET", self._url(), headers={"accept": "*/*"}, cookies=cookies)
        if self._findings.saw("ended", answer) == 200:
            self._findings.say(f"a session of {self.name} goes on after its end")

    def _raw(self, text: str) -> None:
        """Send some or all of a request, and reset the connection after a while."""
        data = text.encode()
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._stack.port)) as connection,
        ):
            connection.sendall(
                data if self._rng.random() < 0.8 else data[: self._rng.randrange(len(data))]
            )
            self._over.wait(self._rng.choice((0, 0.001, 0.005, 0.02, 0.1)))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._findings.count("reset")
