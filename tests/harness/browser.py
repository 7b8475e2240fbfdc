"""A browser without Chromium, which sends, keeps and follows what Chromium does in logins.

    user = WebUser("alice")
    page = user.go("http://localhost:8080/a?b=1")       # follows redirects and fills in forms
    user.hops                                           # every request so far, in order
    user.fetch("http://localhost:8080/api", page=page)  # what a script on that page would send

It sends Sec-Fetch-* (unless `fetch_metadata=False`, as an old browser), Accept, and Origin on POST
as the page's Referrer-Policy demands (null under no-referrer, and under same-origin to another
origin). It keeps cookies by host, path, Secure (http on loopback counts as secure), SameSite with
the default Lax, Max-Age, Expires, `__Host-` and `__Secure-`. It sends the request target byte for
byte. Any name below .localhost or .test is 127.0.0.1.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode, urljoin, urlsplit

import httpx

from harness.clients import PATIENCE, TRUST
from harness.cookie_jar import CookieJar, trustworthy
from harness.html_forms import Form, forms

USER_FIELDS = ("login", "username", "user", "email")
PASSWORD_FIELDS = ("password", "passwd")
REDIRECTS = (301, 302, 303, 307, 308)
PREFERRED = ("answer=accept", "confirm=1", "logout=", "yes")  # which button of several in a form
NAVIGATION_ACCEPT = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
)
AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
    "Safari/537.36"
)


class TooManySteps(AssertionError):
    """A login that redirects or asks without an end."""


def origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def relation(initiator: str, url: str) -> str:
    """How a page relates to an address: same-origin, same-site or cross-site.

    The scheme counts, and each name below the public suffix .localhost is a site of its own.
    """
    if origin(initiator) == origin(url):
        return "same-origin"

    def site(address: str) -> tuple[str, str]:
        parts = urlsplit(address)
        host = parts.hostname or ""
        return parts.scheme, host if host.replace(".", "").isdigit() else ".".join(
            host.split(".")[-2:]
        )

    return "same-site" if site(initiator) == site(url) else "cross-site"


Page = httpx.Response | str | None  # the page of a link, form or script; None: the address bar
RELATIONS = ("same-origin", "same-site", "cross-site")


def worse(chain: str, initiator: str | None, url: str) -> str:
    """The Sec-Fetch-Site of a chain of redirects after one more address.

    It is relative to the page that began the chain, and "none" if no page did.
    """
    if initiator is None:
        return "none"
    return RELATIONS[max(RELATIONS.index(chain), RELATIONS.index(relation(initiator, url)))]


def address_of(page: Page) -> str | None:
    return str(page.url) if isinstance(page, httpx.Response) else page


def origin_of(page: Page, url: str) -> str:
    """The Origin of a form on that page (Fetch, "append a request Origin header")."""
    initiator = address_of(page)
    if initiator is None:
        return "null"
    policy = page.headers.get("referrer-policy", "") if isinstance(page, httpx.Response) else ""
    hidden = policy == "no-referrer" or (
        policy == "same-origin" and relation(initiator, url) != "same-origin"
    )
    return "null" if hidden else origin(initiator)


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and its answer."""

    method: str
    url: str
    sent: Mapping[str, str]
    response: httpx.Response

    @property
    def status(self) -> int:
        return self.response.status_code

    def __str__(self) -> str:
        where = self.response.headers.get("location", "")
        return f"{self.method} {self.url} {self.status}{' -> ' + where if where else ''}"


class WebUser:
    """A browser profile and its user. Close it, or use `with`."""

    def __init__(
        self,
        user: str = "alice",
        password: str = "secret",
        *,
        verify: ssl.SSLContext | bool = TRUST,
        timeout: float = PATIENCE,
        fetch_metadata: bool = True,
    ) -> None:
        """Open a profile without cookies.

        Args:
            user, password: What the user enters in forms.
            verify: What certificates are verified with.
            timeout: Seconds for each request.
            fetch_metadata: False is a browser without Sec-Fetch-*, such as Safari before 16.4.
        """
        self.user, self.password, self._fetch_metadata = user, password, fetch_metadata
        self.cookies = CookieJar()
        self.hops: list[Hop] = []
        self._http = httpx.Client(
            verify=verify, timeout=timeout, trust_env=False, follow_redirects=False
        )

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        cookies: str | None = None,
    ) -> httpx.Response:
        """Send one request with only these headers.

        The cookies are those of a same-site request, or exactly `cookies`.
        """
        sent = self.cookies.header(url) if cookies is None else cookies
        return self._send(method, url, dict(headers or {}), content, sent)

    def navigate(
        self,
        url: str,
        method: str = "GET",
        *,
        page: Page = None,
        content: bytes | None = None,
        chain: str = "same-origin",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Make one top-level navigation without following its answer.

        Args:
            page: Where the link or form is; None is the address bar.
            chain: The relation of the redirects before it; see `worse`.
        """
        initiator = address_of(page)
        sent = {
            "upgrade-insecure-requests": "1",
            "accept": NAVIGATION_ACCEPT,
            "sec-fetch-site": worse(chain, initiator, url),
            "sec-fetch-mode": "navigate",
            "sec-fetch-user": "?1",
            "sec-fetch-dest": "document",
        }
        if method != "GET":
            sent["origin"] = origin_of(page, url)
            sent["content-type"] = "application/x-www-form-urlencoded"
        near = initiator is None or relation(initiator, url) != "cross-site"
        cookies = self.cookies.header(url, same_site=near, top_level_get=method == "GET")
        return self._send(
            method, url, self._trusted(url, sent) | dict(headers or {}), content, cookies
        )

    def fetch(
        self,
        url: str,
        method: str = "GET",
        *,
        page: httpx.Response | str,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """Send what a script on `page` sends by fetch, with credentials. Follow no redirect."""
        initiator = address_of(page) or ""
        site = relation(initiator, url)
        sent = {
            "accept": "*/*",
            "sec-fetch-site": site,
            "sec-fetch-mode": "cors",
            "sec-fetch-dest": "empty",
            "referer": origin(initiator) + "/",
        }
        if method not in ("GET", "HEAD") or site != "same-origin":
            sent["origin"] = origin(initiator)
        cookies = self.cookies.header(url, same_site=site != "cross-site", top_level_get=False)
        return self._send(
            method, url, self._trusted(url, sent) | dict(headers or {}), content, cookies
        )

    def frame(self, url: str, *, cross_site: bool = True) -> httpx.Response:
        """Load an address in a frame of another page, of another site or of the same one."""
        sent = {
            "accept": "text/html",
            "sec-fetch-dest": "iframe",
            "sec-fetch-mode": "navigate",
            "sec-fetch-site": "cross-site" if cross_site else "same-site",
        }
        cookies = self.cookies.header(url, same_site=not cross_site, top_level_get=False)
        return self.request("GET", url, headers=sent, cookies=cookies)

    def follow(self, answer: httpx.Response, *, page: Page = None) -> httpx.Response:
        """Follow the redirects that begin with `answer`, up to the first other answer."""
        chain, url = "same-origin", str(answer.url)
        for _ in range(20):
            if answer.status_code not in REDIRECTS:
                return answer
            chain = worse(chain, address_of(page), url) if page is not None else chain
            url = urljoin(url, answer.headers["location"])
            answer = self.navigate(url, page=page, chain=chain)
        raise TooManySteps("redirected more than 20 times:\n" + self.journey())

    def go(self, url: str, *, page: Page = None, stop: str | None = None) -> httpx.Response:
        """Navigate, follow redirects and fill in forms, up to an error or a page without a form.

        With `stop`, return the first redirect to an address that begins so, and do not follow it.
        """
        method, content, chain = "GET", None, "same-origin"
        for _ in range(40):
            answer = self.navigate(url, method, page=page, content=content, chain=chain)
            if answer.status_code in REDIRECTS:
                chain = worse(chain, address_of(page), url) if page is not None else chain
                url = urljoin(url, answer.headers["location"])
                if stop is not None and url.startswith(stop):
                    return answer
                if answer.status_code not in (307, 308):
                    method, content = "GET", None
                continue
            found = forms(answer)
            if answer.status_code >= 400 or not found:
                return answer
            form = self._choose(found)
            method, content = form.method, urlencode(self._filled(form)).encode()
            url, page, chain = urljoin(url, form.action), answer, "same-origin"
            if method == "GET":
                url, content = f"{url.partition('?')[0]}?{content.decode()}", None
        raise TooManySteps("no end:\n" + self.journey())

    def submit(self, page: httpx.Response, *, with_button: str | None = None) -> httpx.Response:
        """Press the (named) button of the page's form. Do not follow the answer."""
        form = self._choose(forms(page))
        fields = dict(form.fields) | dict(b for b in form.buttons if b[0] == with_button)
        url = urljoin(str(page.url), form.action)
        return self.navigate(url, form.method, page=page, content=urlencode(fields).encode())

    def journey(self) -> str:
        """Every request so far, one a line."""
        return "\n".join(str(hop) for hop in self.hops)

    @staticmethod
    def _choose(found: list[Form]) -> Form:
        return next(
            (form for form in found if set(form.fields) & {*USER_FIELDS, *PASSWORD_FIELDS}),
            found[0],
        )

    def _filled(self, form: Form) -> dict[str, str]:
        filled = dict(form.fields)
        filled |= {name: self.user for name in filled if name in USER_FIELDS}
        filled |= {name: self.password for name in filled if name in PASSWORD_FIELDS}
        for name, value in form.buttons:
            if len(form.buttons) == 1 or any(wanted in f"{name}={value}" for wanted in PREFERRED):
                return filled | {name: value}
        return filled

    def _trusted(self, url: str, sent: dict[str, str]) -> dict[str, str]:
        says = self._fetch_metadata and trustworthy(url)
        return {name: value for name, value in sent.items() if says or not name.startswith("sec-")}

    def _send(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, cookies: str
    ) -> httpx.Response:
        url = url.partition("#")[0]
        parts = urlsplit(url)
        target = url[len(origin(url)) :]
        target = target if target.startswith("/") else "/" + target
        headers = {"user-agent": AGENT, "accept-language": "en", "host": parts.netloc} | headers
        if cookies:
            headers["cookie"] = cookies
        extensions: dict[str, object] = {"target": target.encode()}
        connect = origin(url)
        if (host := parts.hostname or "").endswith((".localhost", ".test")):
            connect = f"{parts.scheme}://127.0.0.1{':' + str(parts.port) if parts.port else ''}"
            extensions["sni_hostname"] = host
        answer = self._http.request(
            method, connect + "/", headers=headers, content=content, extensions=extensions
        )
        self._http.cookies.clear()
        answer.request.url = httpx.URL(url)  # the address as the browser knows it
        self.hops.append(Hop(method, url, headers, answer))
        self.cookies.receive(url, answer.headers.get_list("set-cookie"))
        return answer
