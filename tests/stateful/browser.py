"""A browser profile beside a hostile sibling host: it keeps planted cookies as Chromium does.

jar = Jar(now)                          # a CookieJar with the rules that matter for planted cookies
browser = Browser("alice", world)       # its user, whose name is their password at providers
browser.user = "bob"                    # another user sits down
"""

import re
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx
from harness.browser import AGENT, WebUser, origin
from harness.cookie_jar import Cookie, CookieJar, read_set_cookie, trustworthy

# Cookies of a site. Beyond 180 Chromium forgets some, which no gateway can prevent.
MOST = 150
PUBLIC_SUFFIXES = ("test", "localhost")
PREFIXES = ("__host-", "__secure-")


class Jar(CookieJar):
    """A CookieJar with the rules for planted cookies (RFC 6265bis 5.6, 5.7).

    They are about control characters, nameless cookies that hide a prefix, prefixes in any case,
    what a page without TLS may not overwrite, and the order of creation.
    """

    late: list[tuple[str, list[str]]] | None = None  # where lines wait, while answers are late

    @contextmanager
    def answers_late(self) -> Iterator[list[tuple[str, list[str]]]]:
        """Keep the cookies that arrive in the block in the list that it gets, for later."""
        self.late = waiting = []
        try:
            yield waiting
        finally:
            self.late = None

    def receive(self, url: str, lines: Iterable[str]) -> None:
        if self.late is not None:
            self.late.append((url, list(lines)))
            return
        for line in lines:
            self.take(url, line)

    def forget(self, host: str) -> None:
        """Forget the cookies of this host."""
        self._cookies = {
            key: cookie for key, cookie in self._cookies.items() if cookie.host != host
        }

    def take(self, url: str, line: str) -> bool:
        """Receive one Set-Cookie line. Returns whether the browser keeps the cookie."""
        cookie = read_set_cookie(line, url, self._now())
        if cookie is None or self._refused(cookie, url, line):
            return False
        if cookie.expires is not None and cookie.expires <= self._now():
            self._cookies.pop(cookie.key, None)
        else:
            # In its old place, if it exists already, because that is its time of creation.
            self._cookies[cookie.key] = cookie
        return True

    def _refused(self, cookie: Cookie, url: str, line: str) -> bool:
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line) or not (cookie.name or cookie.value):
            return True
        if cookie.domain and cookie.host in PUBLIC_SUFFIXES:
            return True
        if not cookie.name and cookie.value.lower().startswith(PREFIXES):
            return True
        if cookie.name.lower().startswith("__host-") and (
            cookie.domain or cookie.path != "/" or not cookie.secure
        ):
            return True
        if cookie.name.lower().startswith("__secure-") and not cookie.secure:
            return True
        new = cookie.key not in self._cookies
        return (new and len(list(self)) >= MOST) or (
            not trustworthy(url) and self._covers_a_secure_one(cookie)
        )

    def _covers_a_secure_one(self, new: Cookie) -> bool:
        def related(a: str, b: str) -> bool:
            return a == b or a.endswith("." + b) or b.endswith("." + a)

        return any(
            old.secure
            and old.name == new.name
            and related(old.host, new.host)
            and new.path.startswith(old.path)
            for old in self
        )


class Browser(WebUser):
    """A WebUser with that jar.

    `seen` is called after each request, with its number, its address and its status.
    """

    def __init__(
        self,
        user: str,
        *,
        verify: ssl.SSLContext,
        now: Callable[[], float],
        seen: Callable[["Browser", str, str, httpx.Response], None],
        accounts: Callable[[str, str], Mapping[str, str]],
    ) -> None:
        """Open a profile. accounts: the name that the user enters at the provider of an address."""
        super().__init__(user, verify=verify, timeout=60)
        self.cookies = Jar(now)
        self._verify, self._seen, self._accounts = verify, seen, accounts

    def _send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, cookies: str
    ) -> httpx.Response:
        number = probe()
        sent = headers | {"x-probe": number} | dict(self._accounts(self.user, url))
        answer = super()._send(method, url, sent, content, cookies)
        self._seen(self, number, url, answer)
        return answer

    def slow(self, url: str) -> "Slow":
        """Request a page whose answer is taken later, as a script's fetch in another tab."""
        sent = {
            "accept": "*/*",
            "sec-fetch-site": "same-origin",
            "sec-fetch-mode": "cors",
            "sec-fetch-dest": "empty",
        }
        return Slow(
            url, {**sent, "cookie": self.cookies.header(url), "user-agent": AGENT}, self._verify
        )


class Slow:
    """A request in progress.

    `number` is its x-probe, and the name under which harness.echo holds its answer.
    """

    def __init__(self, url: str, headers: dict[str, str], verify: ssl.SSLContext) -> None:
        self.number, self.failure = probe(), ""
        self.url = f"{url}?echo-hold={self.number}"
        self._answer: httpx.Response | None = None
        self._headers = {name: value for name, value in headers.items() if value} | {
            "x-probe": self.number
        }
        self._thread = threading.Thread(target=self._run, args=(verify,), daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def _run(self, verify: ssl.SSLContext) -> None:
        parts = urlsplit(self.url)
        try:
            with httpx.Client(verify=verify, timeout=120, trust_env=False) as client:
                self._answer = client.get(
                    f"{parts.scheme}://127.0.0.1:{parts.port}/",
                    headers={**self._headers, "host": parts.netloc},
                    extensions={
                        "target": self.url[len(origin(self.url)) :].encode(),
                        "sni_hostname": parts.hostname or "",
                    },
                )
        except httpx.HTTPError as error:
            self.failure = repr(error)

    def answer(self) -> httpx.Response:
        self._thread.join(120)
        assert self._answer is not None, f"no answer to a slow page: {self.failure}"
        return self._answer


_numbers = iter(range(1, 1 << 60))


def probe() -> str:
    """A number that no other request has."""
    return str(next(_numbers))
