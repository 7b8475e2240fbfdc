"""HTTP as the core sees it: one request's head, cookies as values, parsing and printing. Nothing
here does IO.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, urlsplit

from extproc.addresses import bracketed

# Everything the core reads of a request: Envoy forwards these headers and no others (of the
# cookies, ours), so that an application's secrets never reach this process. Adding one here adds it
# to the generated configuration.
READ_HEADERS = (
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "accept",
    "access-control-request-method",
    "content-length",
    "content-type",
    "cookie",
    "origin",
    "purpose",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-purpose",
    "upgrade",
    "user-agent",
    "x-forwarded-for",
    "x-requested-with",
)


MAX_QUERY = 16_384  # characters of a query that is read
# of one request that are looked at; Envoy hands on far fewer (envoyconfig/filters/lua_cookies.py)
MAX_REQUEST_COOKIES = 256
# What a cookie of ours is, name and value: the alphabet of base64url and dots. Nothing in it can
# begin another cookie.
_COOKIE = re.compile(r"([A-Za-z0-9_.-]{1,160})=([A-Za-z0-9_.-]{1,4096})")


def parse_cookies(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The cookies of a request that can be ours, as (name, value) in order, each pair as often as
    it stands there.

    lines: the values of its Cookie headers. Only ";" separates cookies (RFC 6265 section 5.4):
    browsers allow a comma in a value, so what stands behind one is part of that value. One pass; of
    more than MAX_REQUEST_COOKIES the last count, since browsers put the newest last.
    """
    pairs = "; ".join(lines).split(";")[-MAX_REQUEST_COOKIES:]
    found = (_COOKIE.fullmatch(pair.strip(" \t")) for pair in pairs)
    return tuple((match[1], match[2]) for match in found if match is not None)


@dataclass(frozen=True)
class Request:
    """One request's head. Header values are text, one character a byte (latin-1), as HTTP has
    them.
    """

    application: str
    public: bool
    method: str
    target: str = field(repr=False)  # the path with its query, as Envoy chose the route by
    authority: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def host(self) -> str:
        """The host without its port, lower case."""
        return re.sub(r":\d*$", "", self.authority).lower()

    def header(self, name: str) -> str:
        """A header's value, several joined by a comma (RFC 9110 section 5.3), or ''."""
        values = [value for key, value in self.headers if key == name]
        return values[0] if len(values) == 1 else ",".join(values)

    @cached_property
    def cookies(self) -> tuple[tuple[str, str], ...]:
        """Those that can be ours: see parse_cookies."""
        return parse_cookies([value for name, value in self.headers if name == "cookie"])

    @cached_property
    def _cookie_values(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, dict[str, None]] = {}
        for name, value in self.cookies:
            found.setdefault(name, {})[value] = None
        return {name: tuple(values) for name, values in found.items()}

    def cookie_values(self, name: str) -> tuple[str, ...]:
        """The different values of a cookie, in order. More than one: another host or path has
        planted one of that name.
        """
        return self._cookie_values.get(name, ())

    def cookie(self, name: str) -> str | None:
        """The one value of a cookie; None where there is none, or several."""
        values = self.cookie_values(name)
        return values[0] if len(values) == 1 else None


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set; an empty value with max_age 0 expires it, with the same attributes (or
    browsers would keep it).
    """

    name: str
    value: str = field(repr=False)
    secure: bool
    max_age: int | None = None

    def header(self) -> str:
        """The value of its Set-Cookie. Not __str__: nothing prints it by accident."""
        age = f"; Max-Age={self.max_age}" if self.max_age is not None else ""
        return (
            f"{self.name}={self.value}; Path=/; HttpOnly; "
            f"SameSite=Lax{age}{'; Secure' if self.secure else ''}"
        )


@dataclass(frozen=True)
class CookieNames:
    """The names of one application's cookies. On https they begin with __Host-, which browsers hold
    to one host, https and Path=/.
    """

    application: str
    secure: bool

    @cached_property
    def prefix(self) -> str:
        """What the cookies of every application begin with."""
        return "__Host-extproc-" if self.secure else "extproc-"

    @cached_property
    def session(self) -> str:
        return f"{self.prefix}session-{self.application}"

    def data(self, handle: str) -> str:
        """What the names of a whole session's cookies begin with, where sessions are in cookies; a
        generation and a piece follow.
        """
        return f"{self.prefix}data-{self.application}.{handle}."

    def used(self, handle: str) -> str:
        """Where a browser keeps the last use of a session that is in cookies."""
        return f"{self.prefix}used-{self.application}.{handle}"

    @cached_property
    def of_sessions(self) -> tuple[str, ...]:
        """What the names of all cookies begin with that hold a session's data or its last use."""
        return (f"{self.prefix}data-{self.application}.", f"{self.prefix}used-{self.application}.")

    @cached_property
    def assertion(self) -> str:
        return f"{self.prefix}assertion-{self.application}"

    @cached_property
    def logins(self) -> str:
        """What every login cookie of every application begins with."""
        return f"{self.prefix}login-"

    def login(self, attempt: str) -> str:
        return f"{self.logins}{self.application}-{attempt}"

    def expired(self, name: str) -> Cookie:
        return Cookie(name, "", self.secure, 0)


def parameters(query: str, errors: str = "strict") -> list[tuple[str, str]]:
    """The parameters of a query that a stranger may have written
    (application/x-www-form-urlencoded), names and values, in order.

    errors: what becomes of bytes that are no UTF-8. Raises ValueError: longer than MAX_QUERY, more
    than 64 parameters, no UTF-8.
    """
    if len(query) > MAX_QUERY:
        raise ValueError("the query is too long")
    return parse_qsl(query, keep_blank_values=True, max_num_fields=64, errors=errors)


def as_envoy_reads(path: str) -> str:
    """A path without dot segments as Envoy chooses a route by it: what is unreserved is decoded
    (RFC 3986 section 6.2.2), `//` is `/`.
    """
    decoded = re.sub(r"%[0-9A-Fa-f]{2}", lambda escape: _unreserved(escape[0]), path)
    return re.sub(r"/{2,}", "/", decoded)


def _unreserved(escape: str) -> str:
    char = chr(int(escape[1:], 16))
    return char if re.fullmatch(r"[A-Za-z0-9._~-]", char) else escape


def same_origin_target(target: str) -> str | None:
    """A return URL as we accept it: an absolute path on our own origin, byte for byte; None for
    everything else.

    One leading slash followed by neither slash nor backslash, printable ASCII only, no backslash at
    all (browsers read it as a slash), no fragment: what is left cannot leave the origin in any URL
    parser. No dot segment, because a browser resolves it: what the target looks like is where it
    leads, an endpoint of ours or not. Envoy hands on no such path, so nothing honest is lost.
    """
    if not re.fullmatch(r"/(?!/)[\x21-\x22\x24-\x5b\x5d-\x7e]*", target):
        return None
    path = target.partition("?")[0]
    if any(
        segment.replace("%2e", ".").replace("%2E", ".") in (".", "..")
        for segment in path.split("/")
    ):
        return None
    return target


def origin(url: str) -> str:
    """scheme://host[:port] of a URL, lower case, without its default port (RFC 6454)."""
    parts = urlsplit(url)
    host = bracketed(parts.hostname or "")
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (
        f":{parts.port}" if parts.port not in (None, default) else ""
    )
