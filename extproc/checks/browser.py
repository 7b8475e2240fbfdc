"""A browser small enough to read, for `extproc demo --check` and `extproc check --login`: what it
sends is what a browser sends, as far as a gateway can tell.

Cookies belong to a host, not a port; a Secure one goes back over http to a loopback host, as
browsers do; and each request says by Sec-Fetch-* where it comes from. Forms are filled in and sent.
"""

import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx

from extproc.core.endpoints import ENDPOINTS

HTML = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
AGENT = "Mozilla/5.0 (X11; Linux x86_64) extproc-demo"
HOPS = 20


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and its answer. `url` is what was asked for, `shown` the same without anything
    secret.
    """

    status: int
    method: str
    url: str
    shown: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a navigation ended."""

    url: str
    answer: httpx.Response
    hops: tuple[Hop, ...]

    def hop(self, part: str) -> Hop | None:
        """The first hop whose address without query has this in it."""
        return next((hop for hop in self.hops if part in hop.url.partition("?")[0]), None)


@dataclass(slots=True)
class Form:
    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Ask:
    """One step of a navigation: `site` is who caused it, as Sec-Fetch-Site says it, `page` where a
    form stood.
    """

    method: str
    url: str
    data: dict[str, str] | None = None
    site: str = "none"
    page: str = ""

    def headers(self) -> dict[str, str]:
        metadata = _fetch_metadata(self.site, "navigate", "document")
        origin = (
            {"origin": "{0.scheme}://{0.netloc}".format(urlsplit(self.page))}
            if self.method == "POST"
            else {}
        )
        return {"accept": HTML, "upgrade-insecure-requests": "1", **metadata, **origin}


class Browser:
    def __init__(
        self,
        user: str = "",
        password: str = "",
        extra: tuple[tuple[str, str], ...] = (),
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """`user` and `password` go into login forms; `extra` are headers of every request, such as
        an attacker's.
        """
        self._user, self._password = user, password
        self._http = httpx.Client(
            follow_redirects=False, timeout=20, trust_env=False, headers=extra, verify=verify
        )
        self.cookies: dict[str, dict[str, str]] = {}  # by host, then name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def open(self, url: str, *, follow: bool = True) -> Landing:
        """What a typed address leads to: redirects followed, login forms sent."""
        return self._navigate(_Ask("GET", url), follow)

    def submit(self, page: str, url: str, fields: dict[str, str]) -> Landing:
        """A form of `page` sent to `url` by POST."""
        return self._navigate(_Ask("POST", url, fields, _site(page, url), page), True)

    def fetch(self, url: str) -> httpx.Response:
        """What a page's own script would get: not a navigation, no redirects."""
        headers = {"accept": "application/json", **_fetch_metadata("same-origin", "cors", "empty")}
        return self._send("GET", url, None, headers)

    def _navigate(self, ask: "_Ask", follow: bool) -> Landing:
        hops: list[Hop] = []
        while True:
            answer = self._send(ask.method, ask.url, ask.data, ask.headers())
            trace_id = answer.headers.get("x-trace-id", "")
            hops.append(Hop(answer.status_code, ask.method, ask.url, shown(ask.url), trace_id))
            following = self._next(ask, answer) if follow and len(hops) < HOPS else None
            if following is None:
                return Landing(ask.url, answer, tuple(hops))
            ask = following

    def _next(self, ask: "_Ask", answer: httpx.Response) -> "_Ask | None":
        if answer.is_redirect:
            target = urljoin(ask.url, answer.headers["location"])
            # once another site has been in the chain, all that follows is cross-site; a typed
            # address stays "none"
            site = ask.site if ask.site in ("none", "cross-site") else _site(ask.url, target)
            return _Ask("GET", target, site=site)
        form = _login_form(answer) if answer.status_code == 200 else None
        if form is None:
            return None
        target = urljoin(ask.url, form.action or ask.url)
        return _Ask(
            form.method.upper(), target, self._filled(form), _site(ask.url, target), ask.url
        )

    def _filled(self, form: Form) -> dict[str, str]:
        typed = {"username": self._user, "password": self._password}
        return {name: typed.get(name, value) for name, value in form.fields.items()}

    def _send(
        self, method: str, url: str, data: dict[str, str] | None, headers: dict[str, str]
    ) -> httpx.Response:
        jar = self.cookies.setdefault(urlsplit(url).hostname or "", {})
        sent = {"user-agent": AGENT, "accept-language": "en", **headers}
        if jar:
            sent["cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        answer = self._http.request(method, url, data=data, headers=sent)
        self._http.cookies.clear()  # the jar here is the one that counts
        for line in answer.headers.get_list("set-cookie"):
            _store(jar, line)
        return answer


def shown(url: str) -> str:
    """An address for a terminal: of a login's requests only the parameters' names, since their
    values are secret.
    """
    parts = urlsplit(url)
    ours = parts.path.startswith("/" + ENDPOINTS) or parts.hostname != "localhost"
    return without_values(url) if ours else parts._replace(fragment="").geturl()


def without_values(url: str) -> str:
    """An address with the names of its query's parameters, and nothing of what they are."""
    parts = urlsplit(url)
    names = "&".join(f"{name}=…" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{names}" if names else "")


def _fetch_metadata(site: str, mode: str, dest: str) -> dict[str, str]:
    return {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}


def _site(page: str, url: str) -> str:
    a, b = urlsplit(page), urlsplit(url)
    if (a.scheme, a.netloc) == (b.scheme, b.netloc):
        return "same-origin"
    return "same-site" if a.hostname == b.hostname else "cross-site"


def _store(jar: dict[str, str], line: str) -> None:
    """One Set-Cookie (RFC 6265 section 5.2), as much of it as matters here: path and domain are
    left out.
    """
    pair, *attributes = line.split(";")
    name, _, value = pair.strip().partition("=")
    gone = any(
        a.strip().lower() in ("max-age=0", "expires=thu, 01 jan 1970 00:00:00 gmt")
        for a in attributes
    )
    if gone:
        jar.pop(name, None)
    else:
        jar[name] = value


def _login_form(answer: httpx.Response) -> Form | None:
    """The page's form, if it asks for a password: other forms, such as a sign-out button, are not
    for a robot.
    """
    if "html" not in answer.headers.get("content-type", ""):
        return None
    reader = _Forms()
    reader.feed(answer.text)
    return next((form for form in reader.forms if "password" in form.fields), None)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        there = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(there.get("action", ""), there.get("method", "get")))
        elif tag == "input" and self.forms and "name" in there:
            self.forms[-1].fields[there["name"]] = there.get("value", "")
