"""The login cookies of a host: how many of them, and how many bytes, a browser keeps."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from extproc.core.application import Application
from extproc.core.cookies import Cookie
from extproc.core.http import Request
from extproc.core.login import BROWSER_BYTES, MAX_OPENED, label_of
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.sealing import Label

# Login cookies of a host, and bytes of their names and values together. A browser that restores its
# tabs begins many logins at the same moment, so for BURST seconds more are kept. Abandoned logins
# are kept for longer, and the limits of many servers for all cookies together are 8 kB.
BURST = 300
BURST_COOKIES = MAX_OPENED
BURST_BYTES = 12_288
MAX_COOKIES = 12
MAX_COOKIE_BYTES = 4096
# cookies that one response writes again without their return target, and cookies that it expires
MAX_SHORTENED = 8
MAX_EXPIRED = 24


@dataclass(frozen=True, slots=True)
class _LoginCookie:
    """A login cookie of a request.

    Attributes:
        size: its bytes in a request.
        label: what it is sealed as.
        pending: the login; None if the cookie does not open.
        least: its bytes without the return target.
    """

    name: str
    size: int
    least: int
    label: Label | None = None
    pending: PendingAuthorization | None = None

    def limits(self, now: int) -> tuple[int, int]:
        """The number of login cookies, and their bytes, with which this one is kept."""
        if self.pending is None or now >= self.pending.forgotten:
            return 0, 0
        if now < self.pending.created + BURST:
            return BURST_COOKIES, BURST_BYTES
        return MAX_COOKIES, MAX_COOKIE_BYTES


def crowded_out(
    application: Application, request: Request, new: Cookie, now: int, entropies: Iterable[bytes]
) -> tuple[Cookie, ...]:
    """Make room for a new login cookie among those of the host, of any application.

    Where the bytes do not suffice, the oldest logins keep their cookies without their return
    targets, so that they end on the start page in place of an error. Where that does not suffice,
    the oldest cookies are expired. Cookies that do not open are expired first: tampered ones, those
    of another key, and those beyond MAX_OPENED.

    Args:
        application: the application that the new login is for.
        request: the request that starts it.
        new: its cookie.
        now: seconds since the epoch.
        entropies: 44 random bytes for each cookie that is sealed again, at most MAX_SHORTENED.
    """
    names = application.cookies
    size = _size(new.name, new.value)
    kept: list[_LoginCookie] = []
    expired = []
    for cookie in _newest_first(application, request):
        most, most_bytes = cookie.limits(now)
        if len(kept) + 1 < most and size + cookie.least <= most_bytes:
            kept.append(cookie)
            size += cookie.least
        else:
            expired.append(names.expired(cookie.name))
    shortened = _shortened(application, kept, size, now, iter(entropies))
    # A browser may hold a great many planted cookies. One response expires a bounded number of
    # them, the next response others.
    return (*shortened, *tuple(dict.fromkeys(expired))[:MAX_EXPIRED])


def _shortened(
    application: Application,
    kept: Sequence[_LoginCookie],
    size: int,
    now: int,
    entropies: Iterator[bytes],
) -> list[Cookie]:
    """The cookies of the logins for whose return targets no bytes are left.

    Args:
        application: any application of the host.
        kept: the login cookies, the newest first.
        size: their bytes without return targets, and those of the new cookie.
        now: seconds since the epoch.
        entropies: 44 random bytes for each; it may end early, and the next response continues.
    """
    over = []
    for cookie in kept:
        if size + cookie.size - cookie.least <= cookie.limits(now)[1]:
            size += cookie.size - cookie.least
        else:
            over.append(cookie)
    shortened = []
    for cookie in reversed(over):
        entropy = next(entropies, None)
        if entropy is None or cookie.pending is None or cookie.label is None:
            break
        data = replace(cookie.pending, return_to="").to_bytes()
        sealed = application.ring.seal(data, cookie.label, entropy)
        lasts = cookie.pending.forgotten - now
        shortened.append(Cookie(cookie.name, sealed, application.cookies.secure, lasts))
    return shortened


def _newest_first(application: Application, request: Request) -> list[_LoginCookie]:
    """The login cookies of the host; those that do not open are the last."""
    logins = application.cookies.logins
    present = [pair for pair in request.cookies if pair[0].startswith(logins)]
    # browsers send the newest last
    cookies = [
        _read(application, name, value, opens=number < MAX_OPENED)
        for number, (name, value) in enumerate(reversed(present))
    ]
    # the sort is stable, so of the cookies of one second the newest stays first
    cookies.sort(key=lambda cookie: cookie.pending.created if cookie.pending else 0, reverse=True)
    return cookies


def _size(name: str, value: str) -> int:
    """Bytes of a cookie in a request, with `=` and `; `."""
    return len(name) + len(value) + 3


def _read(application: Application, name: str, value: str, *, opens: bool) -> _LoginCookie:
    """Read the cookie of a login of any application. opens: whether to open it."""
    size = _size(name, value)
    match = re.fullmatch(r"(.+)-[0-9a-f]{8}", name.removeprefix(application.cookies.logins))
    if match is None or not opens:
        return _LoginCookie(name, size, size)
    label = label_of(match[1], name)
    opened = application.ring.open(value, label, limit=BROWSER_BYTES)
    if opened is None:
        return _LoginCookie(name, size, size)
    pending = PendingAuthorization.from_bytes(opened)
    data = replace(pending, return_to="").to_bytes()
    least = min(size, size - len(value) + application.ring.length(data))
    return _LoginCookie(name, size, least, label, pending)
