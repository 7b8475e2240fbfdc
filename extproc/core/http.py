"""HTTP as the core sees it: the head of a request, queries, paths and origins, as values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl, quote, urlsplit

from extproc.addresses import bracketed
from extproc.core.cookies import parse_cookies

# Headers that libraries set on requests of their scripts: htmx, Next.js, Turbo, Inertia, pjax,
# Unpoly. No browser sets one on a navigation.
OF_SCRIPTS = (
    "hx-request",
    "next-router-prefetch",
    "next-router-segment-prefetch",
    "next-router-state-tree",
    "rsc",
    "turbo-frame",
    "x-inertia",
    "x-pjax",
    "x-turbo-request-id",
    "x-up-version",
)
# The header with an access token. Envoy forwards it where a rule accepts access tokens.
AUTHORIZATION = "authorization"
# Everything that the core reads of a request. Envoy forwards only these headers to the processor,
# and of the cookies only the processor's own, so that an application's secrets never reach this
# process. A header that is added here is added to the generated configuration.
READ_HEADERS = (
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "accept",
    "access-control-request-method",
    AUTHORIZATION,
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
    *OF_SCRIPTS,
)

# characters of a query that is read
MAX_QUERY = 16_384


@dataclass(frozen=True)
class Request:
    """The head of one request.

    Attributes:
        application: the name of the application, as the route that Envoy chose gives it.
        public: whether that route is for a public path.
        method: the HTTP method.
        target: path and query, in the form in which Envoy chose the route by them.
        authority: host and port.
        headers: (name, value); a value is text with one character for each byte (latin-1).
        fingerprint: that of the settings from which the route was generated, or "".
        access: the digest of the access section from which the route was generated, or "".
        rule: the name of the rule that the route stands for, or "".
        shadow: the name of the rule in shadow mode that the route stands for as well, or "".
    """

    application: str
    public: bool
    method: str
    target: str = field(repr=False)
    authority: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    fingerprint: str = ""
    access: str = ""
    rule: str = ""
    shadow: str = ""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The query of the target, or ''."""
        return self.target.partition("?")[2]

    @property
    def host(self) -> str:
        """The host without its port, in lower case."""
        return re.sub(r":\d*$", "", self.authority).lower()

    def header(self, name: str) -> str:
        """The value of a header, or ''; several values are joined by a comma (RFC 9110 section
        5.3).
        """
        values = self._header_values.get(name, ())
        return values[0] if len(values) == 1 else ",".join(values)

    def header_lines(self, name: str) -> tuple[str, ...]:
        """The values of a header, one for each line of it that the client sent."""
        return tuple(self._header_values.get(name, ()))

    @cached_property
    def _header_values(self) -> Mapping[str, list[str]]:
        # A decision reads about seven headers: one pass over all of them costs less than seven.
        values: dict[str, list[str]] = {}
        for name, value in self.headers:
            values.setdefault(name, []).append(value)
        return values

    @cached_property
    def cookies(self) -> tuple[tuple[str, str], ...]:
        """The cookies that can be the processor's own, see parse_cookies()."""
        return parse_cookies([value for name, value in self.headers if name == "cookie"])

    @cached_property
    def _cookie_values(self) -> Mapping[str, tuple[str, ...]]:
        # a dict in place of a set, for the order
        by_name: dict[str, dict[str, None]] = {}
        for name, value in self.cookies:
            by_name.setdefault(name, {})[value] = None
        return {name: tuple(values) for name, values in by_name.items()}

    def cookie_values(self, name: str) -> tuple[str, ...]:
        """The distinct values of a cookie, in order.

        More than one value means that another host or path has planted a cookie of that name.
        """
        return self._cookie_values.get(name, ())

    def cookie(self, name: str) -> str | None:
        """The value of a cookie; None if it has none, or several."""
        values = self.cookie_values(name)
        return values[0] if len(values) == 1 else None


def parameters(query: str, errors: str = "strict") -> list[tuple[str, str]]:
    """The parameters of an untrusted query (application/x-www-form-urlencoded), as (name, value) in
    order.

    Args:
        query: the query.
        errors: what to do with bytes that are not UTF-8, see bytes.decode().

    Raises:
        ValueError: the query is longer than MAX_QUERY, has more than 64 parameters, or is not
            UTF-8.
    """
    if len(query) > MAX_QUERY:
        raise ValueError("the query is too long")
    return parse_qsl(query, keep_blank_values=True, max_num_fields=64, errors=errors)


def as_envoy_reads(path: str) -> str:
    """Normalise a path without dot segments as Envoy does before it chooses a route: unreserved
    characters are decoded (RFC 3986 section 6.2.2), and `//` is `/`.
    """
    decoded = re.sub(r"%[0-9A-Fa-f]{2}", lambda escape: _unreserved(escape[0]), path)
    return re.sub(r"/{2,}", "/", decoded)


def _unreserved(escape: str) -> str:
    char = chr(int(escape[1:], 16))
    return char if re.fullmatch(r"[A-Za-z0-9._~-]", char) else escape


def same_origin_target(target: str) -> str | None:
    """Return a target in printable ASCII if it is an absolute path on the same origin; otherwise
    None.

    Accepted is one leading slash that no second slash follows, then printable ASCII without
    backslash (browsers read it as a slash) and without fragment: no URL parser leaves the origin by
    such a target. Dot segments are refused, because a browser resolves them, so the target could
    lead to another path than it shows. Envoy forwards no path with dot segments, so no honest
    target is lost. In the query a backslash and characters beyond ASCII are data, so they are kept,
    percent-encoded as UTF-8.
    """
    path, mark, query = target.partition("?")
    if not re.fullmatch(r"/(?!/)[\x21-\x22\x24-\x5b\x5d-\x7e]*", path):
        return None
    if not re.fullmatch(r"[^\x00-\x20\x23\x7f]*", query):
        return None
    segments = re.sub("%2e", ".", path, flags=re.IGNORECASE).split("/")
    return None if "." in segments or ".." in segments else path + mark + printable(query)


def printable(text: str) -> str:
    """Percent-encode the backslashes and the characters beyond ASCII of a query or a fragment."""
    return re.sub(r"[^\x00-\x5b\x5d-\x7f]+", lambda match: quote(match[0], errors="replace"), text)


def origin(url: str) -> str:
    """The origin of a URL, scheme://host[:port], in lower case and without the default port of the
    scheme (RFC 6454).
    """
    parts = urlsplit(url)
    host = bracketed(parts.hostname or "")
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{host}" + (
        f":{parts.port}" if parts.port not in (None, default) else ""
    )
