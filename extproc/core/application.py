"""Application: one application behind the gateway, as the core needs to know it."""

from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from extproc.addresses import bracketed
from extproc.core.assertion import LASTS, AssertionProfile, Header, mint
from extproc.core.assertion import max_age as assertion_max_age
from extproc.core.endpoints import ENDPOINTS
from extproc.core.http import Cookie, CookieNames, origin
from extproc.core.oidc.claims import Claims, header_value
from extproc.core.oidc.client import Client
from extproc.core.sealing import KeyRing
from extproc.core.step_up import NOTHING, Demand


@dataclass(frozen=True)
class Application:
    """url ends with the path prefix. identity: (header, claim) in order. Times are seconds.

    There is one for as long as the settings stay, so what is derived from it is derived once.
    """

    name: str
    url: str
    hosts: tuple[str, ...]
    client: Client
    ring: KeyRing = field(repr=False)
    identity: tuple[tuple[str, str], ...]
    assertion_lifetime: int = 60
    session_lifetime: int = 43_200
    session_idle: int = 3600
    # renew tokens so long before the access token ends; None: never
    refresh_margin: int | None = None
    forward_access_token: bool = False
    stream_lifetime: int | None = None  # of one request at most; None: as long as its session
    backchannel_logout: bool = True
    logout_everywhere: bool = True  # of this browser's sessions with the same provider
    demand: Demand = NOTHING
    userinfo_at_refresh: bool = False
    # what the paths of the endpoints of other applications begin with
    other_endpoints: tuple[str, ...] = ()
    sessions_per_user: int | None = None  # at this application; the oldest ends when there are more

    @cached_property
    def path_prefix(self) -> str:
        return urlsplit(self.url).path

    @cached_property
    def endpoints(self) -> str:
        """What the paths of our own endpoints begin with."""
        return self.path_prefix + ENDPOINTS

    @cached_property
    def all_endpoints(self) -> tuple[str, ...]:
        return (self.endpoints, *self.other_endpoints)

    @cached_property
    def origin(self) -> str:
        return origin(self.url)

    @cached_property
    def host(self) -> str:
        return bracketed(urlsplit(self.url).hostname or "")

    @cached_property
    def cookies(self) -> CookieNames:
        # the scheme of url, not of the connection, decides (TLS may end before Envoy)
        return CookieNames(self.name, self.url.startswith("https://"))

    @cached_property
    def authorization_query(self) -> str:
        """What every authorization request for this application says alike."""
        return self.client.authorization_query + self.demand.query

    @cached_property
    def assertions(self) -> AssertionProfile:
        return AssertionProfile(self.url, self.name, self.assertion_lifetime)

    def identity_headers(self, claims: Claims) -> tuple[Header, ...]:
        """What the application is told of a user; a claim that is absent or empty has no header."""
        values = ((header, header_value(claims.get(claim))) for header, claim in self.identity)
        return tuple((header, value) for header, value in values if value)

    def assertion_cookie(
        self, handle: str, headers: tuple[Header, ...], now: int, not_after: int, lasts: int
    ) -> Cookie | None:
        """The browser's assertion with these identity headers; None where none may be issued.

        handle: of the session that it is good beside; lasts: seconds for a request.
        """
        token = mint(
            self.ring,
            self.assertions,
            handle,
            (*headers, (LASTS, str(lasts * 1000))),
            now,
            not_after,
        )
        if token is None:
            return None
        return Cookie(
            self.cookies.assertion, token, self.cookies.secure, assertion_max_age(self.assertions)
        )
