"""HTTP as the core sees it: one request's head, cookies as values, parsing and printing. Nothing here does IO."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

# Everything the core reads of a request: Envoy forwards these headers and no others (of the cookies, ours), so that an
# application's secrets never reach this process. Adding one here adds it to the generated configuration.
READ_HEADERS = (
    ":authority", ":method", ":path", ":scheme", "accept", "access-control-request-method", "content-length", "content-type", "cookie",
    "origin", "purpose", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "sec-purpose", "upgrade", "user-agent", "x-forwarded-for",
    "x-requested-with",
)  # fmt: skip


SESSION_COOKIES = 4  # at most, of one application


@dataclass(frozen=True, slots=True)
class Request:
    """One request's head. Header values are text, one character a byte (latin-1), as HTTP has them."""

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

    def cookies(self, prefix: str) -> Iterator[tuple[str, str]]:
        """The cookies whose names begin so, in order; several Cookie headers count, whatever they were joined with."""
        for key, value in self.headers:
            if key == "cookie":
                for pair in re.split(r"[;,]", value):
                    name, separator, content = pair.strip(" \t").partition("=")
                    if separator and name.startswith(prefix):
                        yield name, content.strip(" \t")

    def cookie(self, name: str) -> str | None:
        """The one cookie of this name; none, or several with different values, is None: then somebody planted one."""
        values = {content for found, content in self.cookies(name) if found == name}
        return values.pop() if len(values) == 1 else None

    def has_cookie(self, name: str) -> bool:
        return any(found == name for found, _ in self.cookies(name))


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set; an empty value with max_age 0 expires it, with the same attributes (or browsers would keep it)."""

    name: str
    value: str = field(repr=False)
    secure: bool
    max_age: int | None = None

    def header(self) -> str:
        """The value of its Set-Cookie. Not __str__: nothing prints it by accident."""
        age = f"; Max-Age={self.max_age}" if self.max_age is not None else ""
        return f"{self.name}={self.value}; Path=/; HttpOnly; SameSite=Lax{age}{'; Secure' if self.secure else ''}"


@dataclass(frozen=True)
class CookieNames:
    """The names of one application's cookies. On https they begin with __Host-, which browsers hold to one host, https and Path=/."""

    application: str
    secure: bool

    @cached_property
    def prefix(self) -> str:
        """What the cookies of every application begin with."""
        return "__Host-extproc-" if self.secure else "extproc-"

    @cached_property
    def session(self) -> str:
        return f"{self.prefix}session-{self.application}"

    @cached_property
    def sessions(self) -> tuple[str, ...]:
        """Where a whole session is in cookies: the names of its pieces, the first of them `session`."""
        return (self.session, *(f"{self.session}.{piece}" for piece in range(1, SESSION_COOKIES)))

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


# What follows `extproc-` or `__Host-extproc-` in a name of ours; the generated configuration tells our cookies by it.
COOKIE_KINDS = ("session-", "assertion-", "login-")


def same_origin_target(target: str) -> str | None:
    """A return URL as we accept it: an absolute path on our own origin, byte for byte; None for everything else.

    One leading slash followed by neither slash nor backslash, printable ASCII only, no backslash at all (browsers read it as a
    slash), no fragment: what is left cannot leave the origin in any URL parser.
    """
    if not re.fullmatch(r"/(?!/)[\x21-\x22\x24-\x5b\x5d-\x7e]*", target):
        return None
    # dot segments could collapse into a leading double slash ("/.//evil")
    path = target.partition("?")[0]
    if (
        any(segment.replace("%2e", ".").replace("%2E", ".") in (".", "..") for segment in path.split("/"))
        and "//" in path
    ):
        return None
    return target


def origin(url: str) -> str:
    """scheme://host[:port] of a URL, lower case, without its default port (RFC 6454)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port not in (None, default) else "")
