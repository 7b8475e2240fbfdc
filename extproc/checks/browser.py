"""A small browser for `extproc demo --check` and `extproc check --login`.

It sends what a browser sends, as far as a gateway can tell. Cookies belong to a host, and not to a
port; a Secure cookie is sent over http to a loopback host; Sec-Fetch-* headers name the site that
caused each request. Login forms are filled in and submitted.
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
_EXPIRED = ("max-age=0", "expires=thu, 01 jan 1970 00:00:00 gmt")
HOPS = 20  # requests of one navigation


@dataclass(frozen=True, slots=True)
class Hop:
    """One request and its answer. `shown` is the URL without anything secret, for a terminal."""

    status: int
    method: str
    url: str
    shown: str
    trace_id: str


@dataclass(frozen=True, slots=True)
class Landing:
    """Where a navigation ended, and the requests that led there."""

    url: str
    answer: httpx.Response
    hops: tuple[Hop, ...]

    def hop(self, part: str) -> Hop | None:
        """The first hop whose URL contains this text before its query."""
        return next((hop for hop in self.hops if part in hop.url.partition("?")[0]), None)


@dataclass(slots=True)
class Form:
    """An HTML form: where it is sent, and its fields with their values."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Navigation:
    """One request of a navigation.

    `site` is the value of Sec-Fetch-Site, `page` the URL of the page whose form is sent.
    """

    method: str
    url: str
    data: dict[str, str] | None = None
    site: str = "none"
    page: str = ""

    def headers(self) -> dict[str, str]:
        headers = {
            "accept": HTML,
            "upgrade-insecure-requests": "1",
            **_fetch_metadata(self.site, "navigate", "document"),
        }
        if self.method == "POST":
            page = urlsplit(self.page)
            headers["origin"] = f"{page.scheme}://{page.netloc}"
        return headers


class Browser:
    """A browser of one user. A context manager: it closes its connections at the end."""

    def __init__(
        self,
        user: str = "",
        password: str = "",
        extra: tuple[tuple[str, str], ...] = (),
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Makes a browser without cookies.

        Args:
            user: for the field `username` of login forms.
            password: for the field `password` of login forms.
            extra: headers of every request, such as those of an attacker.
            verify: how certificates are verified, as httpx has it.
        """
        self._user = user
        self._password = password
        self._http = httpx.Client(
            follow_redirects=False, timeout=20, trust_env=False, headers=extra, verify=verify
        )
        # By host, then by name.
        self.cookies: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def open(self, url: str, *, follow: bool = True) -> Landing:
        """Opens a typed address: follows redirects and submits login forms if `follow` is set."""
        return self._navigate(_Navigation("GET", url), follow)

    def submit(self, page: str, url: str, fields: dict[str, str]) -> Landing:
        """Submits a form of `page` to `url` by POST."""
        request = _Navigation("POST", url, data=fields, site=_site(page, url), page=page)
        return self._navigate(request, follow=True)

    def fetch(self, url: str) -> httpx.Response:
        """Requests JSON as a page's own script would: no navigation, no redirects."""
        headers = {"accept": "application/json", **_fetch_metadata("same-origin", "cors", "empty")}
        return self._send("GET", url, None, headers)

    def _navigate(self, request: _Navigation, follow: bool) -> Landing:
        hops: list[Hop] = []
        while True:
            url = request.url
            answer = self._send(request.method, url, request.data, request.headers())
            trace_id = answer.headers.get("x-trace-id", "")
            hops.append(Hop(answer.status_code, request.method, url, shown(url), trace_id))
            following = self._next(request, answer) if follow and len(hops) < HOPS else None
            if following is None:
                return Landing(url, answer, tuple(hops))
            request = following

    def _next(self, request: _Navigation, answer: httpx.Response) -> _Navigation | None:
        if answer.is_redirect:
            target = urljoin(request.url, answer.headers["location"])
            # Once another site was in the chain, all that follows is cross-site. A typed address
            # stays "none".
            site = request.site
            if site not in ("none", "cross-site"):
                site = _site(request.url, target)
            return _Navigation("GET", target, site=site)
        form = _login_form(answer) if answer.status_code == 200 else None
        if form is None:
            return None
        target = urljoin(request.url, form.action or request.url)
        return _Navigation(
            form.method.upper(),
            target,
            data=self._filled_in(form),
            site=_site(request.url, target),
            page=request.url,
        )

    def _filled_in(self, form: Form) -> dict[str, str]:
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
        # httpx keeps cookies by its own rules; this browser has the ones above.
        self._http.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            _store(jar, line)
        return answer


def shown(url: str) -> str:
    """A URL for a terminal. The parameters of a login's requests lose their values: these are
    secret.
    """
    parts = urlsplit(url)
    if parts.path.startswith("/" + ENDPOINTS) or parts.hostname != "localhost":
        return without_values(url)
    return parts._replace(fragment="").geturl()


def without_values(url: str) -> str:
    """A URL with the names of its query's parameters, without their values."""
    parts = urlsplit(url)
    names = "&".join(f"{name}=…" for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + (f"?{names}" if names else "")


def _fetch_metadata(site: str, mode: str, dest: str) -> dict[str, str]:
    return {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}


def _site(page: str, url: str) -> str:
    """Sec-Fetch-Site of a request for `url` that `page` causes."""
    origin, target = urlsplit(page), urlsplit(url)
    if (origin.scheme, origin.netloc) == (target.scheme, target.netloc):
        return "same-origin"
    return "same-site" if origin.hostname == target.hostname else "cross-site"


def _store(jar: dict[str, str], line: str) -> None:
    """Keeps the cookie of a Set-Cookie line (RFC 6265 section 5.2), or removes it where it has
    expired. Path and domain are ignored.
    """
    pair, *attributes = line.split(";")
    name, _, value = pair.strip().partition("=")
    if any(attribute.strip().lower() in _EXPIRED for attribute in attributes):
        jar.pop(name, None)
    else:
        jar[name] = value


def _login_form(answer: httpx.Response) -> Form | None:
    """The page's form that asks for a password, or None. Others, such as a sign-out button, are not
    submitted.
    """
    if "html" not in answer.headers.get("content-type", ""):
        return None
    reader = _FormReader()
    reader.feed(answer.text)
    return next((form for form in reader.forms if "password" in form.fields), None)


class _FormReader(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            form = Form(attributes.get("action", ""), attributes.get("method", "get"))
            self.forms.append(form)
        elif tag == "input" and self.forms and "name" in attributes:
            self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
