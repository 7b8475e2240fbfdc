"""The values that decide() returns: an Answer, or a Step that needs IO and ends in an Answer.

Each kind of Step has its Lane, by which the held requests are limited, timed and counted.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from extproc.core.assertion import Header
from extproc.core.http import Cookie
from extproc.core.oidc.authorization import AuthorizationResponse, PendingAuthorization
from extproc.core.page import Page
from extproc.core.session import Session


class Lane(StrEnum):
    """The kind of work that a request is held for.

    The value is the lane's key in `limits`, its label `step` in the metrics, and `step` in the log.
    """

    CALLBACK = "callback"
    LOGIN = "login"
    LOOKUP = "lookup"
    REFRESH = "refresh"
    LOGOUT = "logout"
    PROVIDER_LOGOUT = "provider_logout"
    # a request that was answered, and whose stream stays open until its session ends
    LIVE = "live"

    @property
    def calls_provider(self) -> bool:
        """True when the work calls a provider: it may need a connection of its own, and it is
        finished even when its client has left.
        """
        return self in _CALLS_PROVIDER


_CALLS_PROVIDER = frozenset({Lane.CALLBACK, Lane.REFRESH, Lane.LOGOUT, Lane.PROVIDER_LOGOUT})


@dataclass(frozen=True, slots=True)
class Continue:
    """Let the request go on to the application. set_cookies reach the browser with the
    application's response.
    """

    reason: str
    set_headers: tuple[Header, ...] = field(default=(), repr=False)  # may hold an access token
    remove_headers: tuple[str, ...] = ()
    set_cookies: tuple[Cookie, ...] = ()
    touch: Session | None = None  # write down that it is in use
    lasts: int | None = None  # seconds that the request may take in all
    session: Session | None = field(default=None, repr=False)  # whose request it is


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer instead of the application: a redirect (location), JSON, or a page."""

    status: int
    reason: str
    # holds a state, or an ID token as a hint
    location: str | None = field(default=None, repr=False)
    cookies: tuple[Cookie, ...] = ()
    json: str | None = field(default=None, repr=False)
    page: Page | None = None
    retry_after: int | None = None
    login_url: str | None = None
    challenge: str | None = None  # more parameters of WWW-StartLogin
    html: bool = True  # the page as HTML, not as a problem document
    allow: str | None = None  # for 405
    framed_by: tuple[str, ...] = ()  # origins that may show the page in a frame
    detail: str = ""  # for the operator's log, and for nobody else


@dataclass(frozen=True, slots=True)
class StartLogin:
    """Start a login that ends at return_to; expired: cookies to expire on the way."""

    lane: ClassVar[Lane] = Lane.LOGIN
    return_to: str
    expired: tuple[Cookie, ...] = ()


@dataclass(frozen=True, slots=True)
class RedeemCode:
    """Finish a login. `signed_in`: a session of this browser, which the new one replaces."""

    lane: ClassVar[Lane] = Lane.CALLBACK
    response: AuthorizationResponse
    pending: PendingAuthorization
    signed_in: Session | None


@dataclass(frozen=True, slots=True)
class LoadSession:
    """Find a session that the store could not give at once, then decide again."""

    lane: ClassVar[Lane] = Lane.LOOKUP


@dataclass(frozen=True, slots=True)
class Refresh:
    """Renew the tokens of a session, then decide again."""

    lane: ClassVar[Lane] = Lane.REFRESH
    session: Session


@dataclass(frozen=True, slots=True)
class EndSession:
    """End the session here, then at the provider."""

    lane: ClassVar[Lane] = Lane.LOGOUT
    session: Session | None
    expired: tuple[Cookie, ...]


@dataclass(frozen=True, slots=True)
class BackChannelLogout:
    """End the sessions that a logout token names, once it is verified."""

    lane: ClassVar[Lane] = Lane.PROVIDER_LOGOUT
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FrontChannelLogout:
    """End the sessions that are of this one at the provider; `session`: this browser's, when it is
    one of them.
    """

    lane: ClassVar[Lane] = Lane.PROVIDER_LOGOUT
    sid: str = field(repr=False)
    session: Session | None = None
    expired: tuple[Cookie, ...] = ()


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Show a user the sessions that are theirs. stale: what they asked to end was of a page that
    counts no more.
    """

    lane: ClassVar[Lane] = Lane.LOOKUP
    session: Session
    stale: bool = False


@dataclass(frozen=True, slots=True)
class EndListedSessions:
    """End what a user chose among their own: a sign-in by its handle, or own_sessions.OTHERS or
    EVERYWHERE.
    """

    lane: ClassVar[Lane] = Lane.LOGOUT
    session: Session
    which: str
    expired: tuple[Cookie, ...]


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Nothing can be said before the request's body is there; its route hands the body on, no other
    does.
    """


Answer = Continue | Respond
Own = ListSessions | EndListedSessions
Step = (
    StartLogin
    | RedeemCode
    | LoadSession
    | Refresh
    | EndSession
    | BackChannelLogout
    | FrontChannelLogout
    | Own
)
Decision = Answer | Step
