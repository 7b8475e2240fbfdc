"""The values that decide() returns: an Answer, or a Step that needs IO and ends in an Answer.

Each Step has a StepKind, by which held requests are limited, timed and counted.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from extproc.core.assertion import Header
from extproc.core.cookies import Cookie
from extproc.core.oidc.authorization import AuthorizationResponse, PendingAuthorization
from extproc.core.page import Page
from extproc.core.session import Session
from extproc.core.step_up import Demand


class StepKind(StrEnum):
    """The kind of work that a request is held for.

    The value is its key in `limits`, the label `step` of the metrics, and `step` in the log.
    """

    CALLBACK = "callback"
    LOGIN = "login"
    LOOKUP = "lookup"
    REFRESH = "refresh"
    LOGOUT = "logout"
    PROVIDER_LOGOUT = "provider_logout"
    # the verification of an API caller's access token
    BEARER = "bearer"
    # a request whose client has not sent its body yet
    BODY = "body"
    # a request that was answered, and whose stream stays open until its session ends
    LIVE = "live"

    @property
    def calls_provider(self) -> bool:
        """Whether work of this kind may hold a connection of its own to a provider, and continues
        after its client has left. Not a login: all logins that wait share one fetch of metadata.
        """
        return self in _CALLS_PROVIDER


_CALLS_PROVIDER = frozenset(
    {
        StepKind.CALLBACK,
        StepKind.REFRESH,
        StepKind.LOGOUT,
        StepKind.PROVIDER_LOGOUT,
        StepKind.BEARER,
    }
)


@dataclass(frozen=True, slots=True)
class Continue:
    """Let the request continue to the application.

    Attributes:
        reason: the reason code.
        set_headers: headers that the application gets; one may hold an access token.
        remove_headers: headers that are removed from the request.
        set_cookies: cookies that the browser gets with the application's response.
        touch: the session whose last use has to be written, if it has.
        lasts: seconds that the whole request may take; None: any number.
        session: the session of the request, if it has one.
        user: the name of its user for logs, see Application.user().
        would_refuse: the key of the rule in shadow mode that would have refused the request; "" if
            there is none.
    """

    reason: str
    set_headers: tuple[Header, ...] = field(default=(), repr=False)
    remove_headers: tuple[str, ...] = ()
    set_cookies: tuple[Cookie, ...] = ()
    touch: Session | None = None
    lasts: int | None = None
    session: Session | None = field(default=None, repr=False)
    user: str | None = None
    would_refuse: str = ""


@dataclass(frozen=True, slots=True)
class Respond:
    """Respond in place of the application: with a redirect (location), with JSON, or with a page.

    Attributes:
        status: the HTTP status.
        reason: the reason code.
        location: target of a redirect; may hold a state, or an ID token as a hint.
        cookies: cookies that the browser gets.
        json: the body as JSON text.
        page: the body as a page.
        retry_after: seconds, for the header Retry-After.
        login_url: address at which the user can sign in.
        bearer: parameters of the challenge Bearer in WWW-Authenticate (RFC 6750 section 3); None
            for no such challenge.
        challenge: further parameters of the header WWW-Authenticate.
        html: whether the page is sent as HTML; otherwise as a problem document (RFC 9457).
        allow: the methods of the header Allow, for 405.
        framed_by: origins that may show the page in a frame.
        detail: the cause in words, only for the operator's log.
        clear_cache: whether the browser is asked to empty its cache of the host.
        user: the name for logs of the user who is signed in, or was until this answer; None
            without such a user, see Application.user().
    """

    status: int
    reason: str
    location: str | None = field(default=None, repr=False)
    cookies: tuple[Cookie, ...] = ()
    json: str | None = field(default=None, repr=False)
    page: Page | None = None
    retry_after: int | None = None
    login_url: str | None = None
    challenge: str | None = None
    bearer: str | None = None
    html: bool = True
    allow: str | None = None
    framed_by: tuple[str, ...] = ()
    detail: str = ""
    clear_cache: bool = False
    user: str | None = None


@dataclass(frozen=True, slots=True)
class StartLogin:
    """Start a login that ends at return_to.

    Attributes:
        expired: cookies that the redirect expires.
        restarted: whether the processor starts it by itself, in place of one that the provider had
            let expire.
        demand: what the login has to meet; None: the demand of the application.
    """

    kind: ClassVar[StepKind] = StepKind.LOGIN
    return_to: str
    expired: tuple[Cookie, ...] = ()
    restarted: bool = False
    demand: Demand | None = None


@dataclass(frozen=True, slots=True)
class RedeemCode:
    """Finish a login. signed_in: the session of this browser, which the new one replaces."""

    kind: ClassVar[StepKind] = StepKind.CALLBACK
    response: AuthorizationResponse
    pending: PendingAuthorization
    signed_in: Session | None


@dataclass(frozen=True, slots=True)
class LoadSession:
    """Load a session that the store could not return without waiting, then decide again."""

    kind: ClassVar[StepKind] = StepKind.LOOKUP


@dataclass(frozen=True, slots=True)
class Refresh:
    """Renew the tokens of a session, then decide again.

    stale: whether a rule asks for newer claims, although the tokens are not due.
    """

    kind: ClassVar[StepKind] = StepKind.REFRESH
    session: Session
    stale: bool = False


@dataclass(frozen=True, slots=True)
class EndSession:
    """End the session at the processor, then at the provider.

    page: the page at which the user can sign in again afterwards; "" for the start page.
    """

    kind: ClassVar[StepKind] = StepKind.LOGOUT
    session: Session | None
    expired: tuple[Cookie, ...]
    page: str = ""


@dataclass(frozen=True, slots=True)
class BackChannelLogout:
    """Verify a logout token, then end the sessions that it names."""

    kind: ClassVar[StepKind] = StepKind.PROVIDER_LOGOUT
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FrontChannelLogout:
    """End the sessions that belong to one session at the provider (sid). session: the session of
    this browser, if it is one of them.
    """

    kind: ClassVar[StepKind] = StepKind.PROVIDER_LOGOUT
    sid: str = field(repr=False)
    session: Session | None = None
    expired: tuple[Cookie, ...] = ()


@dataclass(frozen=True, slots=True)
class ListSessions:
    """Show users their own sessions. stale: the submitted form was too old, or from another
    session.
    """

    kind: ClassVar[StepKind] = StepKind.LOOKUP
    session: Session
    stale: bool = False


@dataclass(frozen=True, slots=True)
class EndListedSessions:
    """End those of their own sessions that a user chose. which: the handle of a sign-in, or
    sessions_page.OTHERS or EVERYWHERE.
    """

    kind: ClassVar[StepKind] = StepKind.LOGOUT
    session: Session
    which: str
    expired: tuple[Cookie, ...]


@dataclass(frozen=True, slots=True)
class VerifyAccessToken:
    """Verify an API caller's access token, then decide. provider: the name of the provider that it
    says it is from.
    """

    kind: ClassVar[StepKind] = StepKind.BEARER
    token: str = field(repr=False)
    provider: str


@dataclass(frozen=True, slots=True)
class ReadBody:
    """Wait for the body of the request, then decide. Only one route sends bodies to the processor,
    that of the back-channel logout.
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
    | VerifyAccessToken
    | Own
)
Decision = Answer | Step
