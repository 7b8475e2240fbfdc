"""Application: one application behind Envoy, as the core needs to know it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal
from urllib.parse import urlsplit

from extproc.addresses import bracketed
from extproc.core.access import EVERYBODY, Access
from extproc.core.assertion import LASTS, USER, AssertionProfile, Header, mint
from extproc.core.assertion import max_age as assertion_max_age
from extproc.core.bearer_access import BearerAccess
from extproc.core.cookies import Cookie, CookieNames
from extproc.core.endpoints import ENDPOINTS
from extproc.core.http import Request, origin
from extproc.core.oidc.claims import (
    Claims,
    email_is_verified,
    header_value,
    raw_header_value,
    size_of,
)
from extproc.core.oidc.client import Client
from extproc.core.sealing import KeyRing
from extproc.core.step_up import NOTHING, Demand

# characters of a user's name in logs; a provider may write an e-mail address of any length
MAX_USER = 255


@dataclass(frozen=True)
class Application:
    """One application behind Envoy. Durations are seconds.

    There is one value for each application until the settings change, so derived values are
    computed once.

    Attributes:
        url: address of the application; ends with its path prefix.
        hosts: host names of its requests; "*" is any.
        identity: (header, claim) pairs, in the order of the headers.
        raw_headers: those whose value is plain UTF-8.
        session_lifetime: absolute life of a session.
        session_idle: life of a session without a request.
        session_times: (name, session_lifetime, session_idle) of every application.
        refresh_margin: how long before the end of the access token the tokens are renewed;
            None: never.
        forward_access_token: whether the application gets the access token.
        stream_lifetime: longest duration of one request; None: as long as its session.
        backchannel_logout: whether the provider may end sessions by its own request.
        frontchannel_logout: which session the provider may end by a frame: none (off), the one
            whose cookie the frame has (browser), or every session of the sid that it names.
        end_session: how a user's logout continues at the provider, see end_session_url().
        logout_revokes: whether a logout revokes the session's tokens at the provider.
        logout_everywhere: whether a logout ends all sessions of the browser with the same provider.
        demand: what a login has to meet.
        userinfo_at_login: whether UserInfo is fetched at a login.
        userinfo_at_refresh: whether UserInfo is fetched whenever the tokens are renewed.
        keeps_unrepeated: whether claims stay that the provider sends at the login, and not at a
            refresh.
        max_header_bytes: bytes of an identity header's value beyond which it is left out; None: any
            number.
        header_room: bytes that the processor may add to a request's headers; Envoy bounds the
            whole, and fails a request beyond that bound.
        trust_email: whether the claim `email` counts although the provider does not confirm it.
        other_endpoints: path prefixes of other applications' endpoints on the same host.
        sessions_per_user: most sessions of one user at the application; a further login ends the
            oldest. None: any number.
        clears_cache: whether a browser whose session ends is asked to empty its cache.
        log_users: the claim by which logs name a user; none: not at all.
        access: which users may make which requests.
        groups_claim: the claim with a user's groups, by name or path.
        bearer: which access tokens count; None where no rule accepts any.
        fingerprint: what Envoy's route has to bring, if it brings any (settings/fingerprint.py).
    """

    name: str
    url: str
    hosts: tuple[str, ...]
    client: Client
    ring: KeyRing = field(repr=False)
    identity: tuple[tuple[str, str], ...]
    raw_headers: frozenset[str] = frozenset()
    assertion_lifetime: int = 60
    session_lifetime: int = 43_200
    session_idle: int = 3600
    session_times: tuple[tuple[str, int, int], ...] = ()
    refresh_margin: int | None = None
    forward_access_token: bool = False
    stream_lifetime: int | None = None
    backchannel_logout: bool = True
    frontchannel_logout: Literal["off", "browser", "sid"] = "off"
    end_session: Literal["rp_initiated", "logout_uri", "off"] = "rp_initiated"
    logout_revokes: bool = True
    logout_everywhere: bool = True
    demand: Demand = NOTHING
    userinfo_at_login: bool = True
    userinfo_at_refresh: bool = False
    keeps_unrepeated: bool = False
    trust_email: bool = False
    max_header_bytes: int | None = None
    header_room: int = 30_720
    other_endpoints: tuple[str, ...] = ()
    sessions_per_user: int | None = None
    clears_cache: bool = True
    log_users: Literal["none", "sub", "email"] = "none"
    access: Access = EVERYBODY
    groups_claim: str = "groups"
    fingerprint: str = ""
    bearer: BearerAccess | None = None

    @cached_property
    def path_prefix(self) -> str:
        """The path of the application; begins and ends with `/`."""
        return urlsplit(self.url).path

    def serves(self, request: Request) -> bool:
        """Whether a request is on one of the hosts and below the path of the application.

        Envoy chose the application by its route; where that was generated from other settings, its
        requests are not this application's.
        """
        hosted = "*" in self.hosts or request.host in self.hosts
        return hosted and request.path.startswith(self.path_prefix)

    @property
    def remembered(self) -> int:
        """Seconds for which the end of sessions has to be remembered: as long as any session lasts
        that it may concern, at another application, too.
        """
        return max(lifetime for lifetime, _ in self.times_of.values())

    @cached_property
    def times_of(self) -> Mapping[str, tuple[int, int]]:
        """The lifetime and the idle time of sessions at each application."""
        times = {name: (lifetime, idle) for name, lifetime, idle in self.session_times}
        return {**times, self.name: (self.session_lifetime, self.session_idle)}

    @cached_property
    def endpoints(self) -> str:
        """The path prefix of the processor's own endpoints."""
        return self.path_prefix + ENDPOINTS

    @cached_property
    def all_endpoints(self) -> tuple[str, ...]:
        """The path prefixes of the processor's own endpoints for every application on the host."""
        return (self.endpoints, *self.other_endpoints)

    @cached_property
    def origin(self) -> str:
        """The origin of the application's url (RFC 6454)."""
        return origin(self.url)

    @cached_property
    def host(self) -> str:
        """The host of the application's url, an IPv6 address in brackets."""
        return bracketed(urlsplit(self.url).hostname or "")

    @cached_property
    def cookies(self) -> CookieNames:
        """The names of the application's cookies."""
        # the scheme of url counts, not that of the connection: TLS may end before Envoy
        return CookieNames(self.name, self.url.startswith("https://"))

    @cached_property
    def authorization_query(self) -> str:
        """The parameters that are the same in every authorization request of the application, but
        for those in which a rule demands another login.
        """
        return self.client.authorization_query + self.demand.query

    @cached_property
    def assertions(self) -> AssertionProfile:
        """Issuer and lifetime of the application's identity assertions."""
        return AssertionProfile(self.url, self.assertion_lifetime)

    @cached_property
    def _identity_without_email(self) -> tuple[tuple[str, str], ...]:
        return tuple(
            (header, claim) for header, claim in self.identity if claim.split(".")[0] != "email"
        )

    def shows_email(self, claims: Claims, *, trusts_email: bool | None = None) -> bool:
        """Whether the application may see the claim `email`.

        trusts_email: whether it counts although the provider does not confirm it; None: as for the
            application's own provider.

        At many providers users choose their address themselves. An application that knows its
        users by their address would then let one user in as another.
        """
        trusts = self.trust_email if trusts_email is None else trusts_email
        return trusts or email_is_verified(claims.values)

    def identity_headers(
        self, claims: Claims, *, trusts_email: bool | None = None, issuer: str = ""
    ) -> tuple[Header, ...]:
        """The headers that tell the application who the user is.

        A claim that is absent or empty has no header.

        Args:
            claims: the claims of the user.
            trusts_email: as of shows_email().
            issuer: whose user it is; "" for the application's own provider.
        """
        shows_email = self.shows_email(claims, trusts_email=trusts_email)
        shown = self.identity if shows_email else self._identity_without_email
        values = ((header, self.value(claims, header, claim, issuer)) for header, claim in shown)
        if self.max_header_bytes is not None:
            # a subject has 255 characters, of which none takes more than 12 bytes here
            values = ((name, value) for name, value in values if not self.is_too_long(value))
        return tuple((header, value) for header, value in values if value)

    def value(self, claims: Claims, header: str, claim: str, issuer: str = "") -> str:
        """The value of a header; "" if it is left out. `iss` is no claim about the user: it is
        whoever names the user.
        """
        value = (issuer or self.client.issuer) if claim == "iss" else claims.get(claim)
        return raw_header_value(value) if header in self.raw_headers else header_value(value)

    def user(self, subject: str, claims: Claims, *, trusts_email: bool | None = None) -> str | None:
        """The name of a user for logs, printable and of at most MAX_USER characters; None if logs
        name no users.

        Args:
            subject: `sub`, which names a user without a printable and confirmed email as well.
            claims: the claims of the user.
            trusts_email: as of shows_email().
        """
        if self.log_users == "none":
            return None
        email = None
        if self.log_users == "email" and self.shows_email(claims, trusts_email=trusts_email):
            email = claims.get("email")
        if isinstance(email, str) and email and email.isprintable():
            return email[:MAX_USER]
        return subject[:MAX_USER]

    def is_too_long(self, value: str) -> bool:
        """Whether a header's value is longer than the settings allow."""
        return self.max_header_bytes is not None and size_of(value) > self.max_header_bytes

    def knows_all(self, claims: Claims) -> bool:
        """Whether there is a value for each identity header, and for each claim that a condition of
        access is about.
        """
        asked = self.access.claims_asked(self.groups_claim)
        if any(claims.get(claim) is None for claim in asked):
            return False
        shown = self.identity if self.shows_email(claims) else self._identity_without_email
        # A raw header may be left out although its claim is known.
        return len(shown) == len(self.identity) and all(
            claim == "iss" or header_value(claims.get(claim)) for _, claim in shown
        )

    def shown_claims(self, claims: Claims) -> Claims:
        """The claims that the pages of the application may read.

        The addresses of claims that are kept elsewhere are left out, because they may come with
        an access token (OpenID Connect Core section 5.6.2).
        """
        hidden = {"_claim_names", "_claim_sources"}
        if not self.shows_email(claims):
            hidden.add("email")
        return Claims({name: value for name, value in claims.values.items() if name not in hidden})

    def assertion_cookie(
        self,
        handle: str,
        audiences: tuple[str, ...],
        headers: tuple[Header, ...],
        now: int,
        not_after: int,
        lasts: int,
        user: str | None,
    ) -> Cookie | None:
        """The cookie with an identity assertion; None if none may be issued, see mint().

        Args:
            handle: the handle of the session that the assertion is valid with.
            audiences: what the session is admitted to.
            headers: the identity headers.
            now: seconds since the epoch.
            not_after: end of the session, in seconds since the epoch.
            lasts: seconds that a request with the assertion may take.
            user: the name of the user for Envoy's access log; None for no name.
        """
        claims = (*headers, (LASTS, str(lasts * 1000)))
        if user is not None:
            claims = (*claims, (USER, user))
        token = mint(self.ring, self.assertions, audiences, handle, claims, now, not_after)
        if token is None:
            return None
        age = assertion_max_age(self.assertions)
        return Cookie(self.cookies.assertion, token, self.cookies.secure, age)
