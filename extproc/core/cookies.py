"""Cookies: those of a request that can be the processor's own, those to set, and their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

# cookies of one request that are read; Envoy forwards far fewer, see
# envoyconfig/filters/lua_cookies.py
MAX_REQUEST_COOKIES = 256
# Names and values of the processor's own cookies are base64url and dots. No such character can
# begin another cookie.
_COOKIE = re.compile(r"([A-Za-z0-9_.-]{1,160})=([A-Za-z0-9_.-]{1,4096})")


def parse_cookies(lines: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The cookies of a request that can be the processor's own, as (name, value) in order;
    duplicates are kept.

    Only ";" separates cookies (RFC 6265 section 5.4): browsers allow a comma in a value, so a comma
    and the text behind it belong to the value. Of more than MAX_REQUEST_COOKIES cookies the last
    ones count, because browsers send the newest last.

    lines: the values of the request's Cookie headers.
    """
    pairs = "; ".join(lines).split(";")[-MAX_REQUEST_COOKIES:]
    matches = (_COOKIE.fullmatch(pair.strip(" \t")) for pair in pairs)
    return tuple((match[1], match[2]) for match in matches if match is not None)


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set. An empty value with max_age 0 expires it; name and attributes have to be
    those with which it was set, otherwise browsers keep it.
    """

    name: str
    value: str = field(repr=False)
    secure: bool
    max_age: int | None = None

    def header(self) -> str:
        """The value of the Set-Cookie header. It is not __str__, so that nothing prints a secret by
        accident.
        """
        age = f"; Max-Age={self.max_age}" if self.max_age is not None else ""
        return (
            f"{self.name}={self.value}; Path=/; HttpOnly; "
            f"SameSite=Lax{age}{'; Secure' if self.secure else ''}"
        )


@dataclass(frozen=True)
class CookieNames:
    """The names of one application's cookies.

    On https the names begin with __Host-: browsers accept such a cookie only from its own host,
    over https and with Path=/.
    """

    application: str
    secure: bool

    @cached_property
    def prefix(self) -> str:
        """The first characters of the names of every application's cookies."""
        return "__Host-extproc-" if self.secure else "extproc-"

    @cached_property
    def session(self) -> str:
        """The cookie with the session's id."""
        return f"{self.prefix}session-{self.application}"

    def data(self, handle: str) -> str:
        """The first characters of the names of a session's data cookies; the numbers of generation
        and piece follow.
        """
        return f"{self.prefix}data-{self.application}.{handle}."

    def used(self, handle: str) -> str:
        """The cookie with the last use of a session, if sessions are kept in cookies."""
        return f"{self.prefix}used-{self.application}.{handle}"

    @cached_property
    def of_sessions(self) -> tuple[str, ...]:
        """The first characters of the names of all cookies with data or last use of a session."""
        return (f"{self.prefix}data-{self.application}.", f"{self.prefix}used-{self.application}.")

    @cached_property
    def assertion(self) -> str:
        """The cookie with the identity assertion."""
        return f"{self.prefix}assertion-{self.application}"

    @cached_property
    def logins(self) -> str:
        """The first characters of the names of every application's login cookies."""
        return f"{self.prefix}login-"

    def login(self, attempt: str) -> str:
        """The cookie of a login that is under way."""
        return f"{self.logins}{self.application}-{attempt}"

    def expired(self, name: str) -> Cookie:
        """The cookie that expires the cookie of this name."""
        return Cookie(name, "", self.secure, 0)
