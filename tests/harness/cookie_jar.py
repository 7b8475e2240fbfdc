"""The cookies of a browser, kept and sent by the rules of RFC 6265bis."""

import email.utils
import ipaddress
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Cookie:
    name: str
    value: str
    host: str
    path: str
    domain: bool  # also sent to hosts below `host`
    secure: bool
    http_only: bool
    same_site: str  # strict, lax, none
    expires: float | None  # seconds since the epoch; None: until the browser closes

    @property
    def key(self) -> tuple[str, str, str]:
        return self.host, self.path, self.name


class CookieJar:
    """Cookies by the rules of RFC 6265bis."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def __iter__(self) -> Iterator[Cookie]:
        return (
            c for c in list(self._cookies.values()) if c.expires is None or c.expires > self._now()
        )

    def get(self, name: str, host: str | None = None) -> Cookie | None:
        return next((c for c in self if c.name == name and host in (None, c.host)), None)

    def named(self, prefix: str) -> list[Cookie]:
        return [c for c in self if c.name.startswith(prefix)]

    def put(self, cookie: Cookie) -> None:
        self._cookies[cookie.key] = cookie

    def drop(self, *names: str) -> None:
        """Forget the cookies of these names, or all without names."""
        self._cookies = {
            key: c for key, c in self._cookies.items() if names and c.name not in names
        }

    def receive(self, url: str, lines: Iterable[str]) -> None:
        for line in lines:
            if (cookie := read_set_cookie(line, url, self._now())) is not None:
                self._cookies.pop(cookie.key, None)
                if cookie.expires is None or cookie.expires > self._now():
                    self._cookies[cookie.key] = cookie

    def header(self, url: str, *, same_site: bool = True, top_level_get: bool = True) -> str:
        """The Cookie header for a request to this address. Empty: no header."""
        parts, fits = urlsplit(url), []
        host, path = (parts.hostname or "").lower(), parts.path or "/"
        for cookie in self:
            if not (host == cookie.host or (cookie.domain and host.endswith("." + cookie.host))):
                continue
            if path != cookie.path and not path.startswith(cookie.path.removesuffix("/") + "/"):
                continue
            if cookie.secure and not trustworthy(url):
                continue
            if not same_site and (
                cookie.same_site == "strict" or (cookie.same_site == "lax" and not top_level_get)
            ):
                continue
            fits.append(cookie)
        fits.sort(key=lambda c: -len(c.path))
        return "; ".join(f"{c.name}={c.value}" if c.name else c.value for c in fits)


def read_set_cookie(line: str, url: str, now: float) -> Cookie | None:
    """The cookie that a browser makes of one Set-Cookie line. None: it refuses the line.

    `expires` may be in the past.
    """
    pair, *rest = line.split(";")
    name, has, value = pair.partition("=")
    name, value = (name.strip(), value.strip()) if has else ("", name.strip())
    attributes = {
        k.strip().lower(): v.strip() for k, _, v in (part.partition("=") for part in rest)
    }
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    secure = "secure" in attributes
    domain = attributes.get("domain", "").lstrip(".").lower()
    path = attributes.get("path", "")
    if not path.startswith("/"):
        path = parts.path[: parts.path.rfind("/")] or "/"
    expires = None
    if "max-age" in attributes:
        expires = now + int(attributes["max-age"])
    elif "expires" in attributes:
        expires = email.utils.parsedate_to_datetime(attributes["expires"]).timestamp()
    same_site = attributes.get("samesite", "lax").lower()
    same_site = same_site if same_site in ("strict", "none") else "lax"
    if domain and not (host == domain or host.endswith("." + domain)):
        return None
    if (secure and not trustworthy(url)) or (same_site == "none" and not secure):
        return None
    if name.startswith("__Host-") and (not secure or domain or attributes.get("path") != "/"):
        return None
    if name.startswith("__Secure-") and not secure:
        return None
    if len(name) + len(value) > 4096:
        return None
    return Cookie(
        name,
        value,
        domain or host,
        path,
        bool(domain),
        secure,
        "httponly" in attributes,
        same_site,
        expires,
    )


def trustworthy(url: str) -> bool:
    """A potentially trustworthy URL: https, or http on loopback."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
