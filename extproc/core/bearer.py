"""What the relying party does with an API caller's request: an access token decides it, and no
session (RFC 6750).

The rules, in the order in which they apply:

1. Authorization is read only where the deciding rule accepts access tokens (`accept: [bearer]`).
   More than one such header is 400, and so is a bearer token that no token can be.
2. A request that brings a bearer token is decided by that token alone. A session beside it is not
   looked at, and a token that is not accepted is 401, also where the login is optional: a caller
   that says who it is must not be taken for somebody else.
3. A token says as little by itself as a claim does: `allow` of the application and of the rule hold
   for it, and what they demand of a login (acr_values, max_age) as well.
4. An application gets the identity headers of the token's claims. It gets the token itself only
   with `forward_bearer`.
5. The request ends when its token does.

Whether a token is one of a provider is verified in oidc/access_token.py; which rule decides, in
decide.py.
"""

import re

from extproc.core.access_conditions import SCOPES, Entries, Facts
from extproc.core.access_rules import Rule
from extproc.core.access_values import email_address, groups_of
from extproc.core.application import Application
from extproc.core.bearer_errors import (
    BearerRefusal,
    InsufficientScope,
    InvalidAccessToken,
    InvalidAuthorization,
)
from extproc.core.decide import deciding_rule, owned_headers
from extproc.core.decisions import Continue
from extproc.core.errors import (
    AccessDiffers,
    InsufficientAuthentication,
    Misdirected,
    NotAllowed,
    Refusal,
)
from extproc.core.http import AUTHORIZATION, Request
from extproc.core.oidc.access_token import AccessToken, issuer_of

# b64token of RFC 6750 section 2.1, after the scheme in any case
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)
# Two headers that Envoy, or a proxy in front of it, has joined by a comma (RFC 9110 section 5.3): a
# comma after a scheme, after its one token, or before Bearer.
_JOINED = re.compile(
    r"^[A-Z0-9-]*(?: +[A-Z0-9._~+/-]+=*)?[ \t]*,|,[ \t]*bearer(?:[ \t,]|$)", re.IGNORECASE
)
_SCHEME = re.compile(r"bearer(?:[ \t,]|$)", re.IGNORECASE)


def presented(application: Application, request: Request) -> str | None:
    """The access token that decides a request; None where a session does.

    Raises:
        InvalidAuthorization: the rule accepts access tokens, and it is unclear which this one is.
    """
    rule = application.access.rule(request.rule)
    if rule is None or not rule.accepts_bearer:
        return None
    lines = request.header_lines(AUTHORIZATION)
    if len(lines) > 1 or any(map(_JOINED.search, lines)):
        raise InvalidAuthorization("the request has more than one header Authorization")
    if not lines or _SCHEME.match(lines[0]) is None:
        return None
    match = _BEARER.fullmatch(lines[0])
    if match is None:
        raise InvalidAuthorization("Authorization is not Bearer and one token")
    return match[1]


def provider_of(application: Application, token: str) -> str:
    """The name of the provider whose part of the limits the verification of a token takes.

    That is whose token it says it is; anybody can write that, but not another provider's name.
    """
    if application.bearer is None:
        return ""
    profiles = {profile.issuer: profile for profile in application.bearer.profiles}
    profile = profiles.get(issuer_of(token) or "") or application.bearer.opaque
    return profile.provider if profile is not None else ""


def decide_bearer(
    application: Application, request: Request, token: AccessToken, now: int
) -> Continue:
    """Decide on a request by its verified access token.

    Args:
        application: the application that the request's route names.
        request: the request.
        token: the access token.
        now: seconds since the epoch.

    Raises:
        Refusal: the request is refused.
    """
    if not application.serves(request):
        raise Misdirected
    rule = deciding_rule(application, request)
    _check_times(application, token, now)
    known = facts(token, application)
    refused = application.access.missing(rule, known, now)
    if refused is not None and refused.stale:
        raise InvalidAccessToken("claims_age", f"{refused.key}: its claims are too old")
    if refused is not None and refused.demand is not None:
        raise (application.demand.joined(refused.demand) or refused.demand).insufficient()
    if refused is not None and refused.key.endswith(f".{SCOPES}"):
        raise InsufficientScope(refused.key)
    if refused is not None:
        raise NotAllowed(refused.key)
    profile = token.profile
    headers = application.identity_headers(
        token.claims, trusts_email=profile.trust_email, issuer=profile.issuer
    )
    return Continue(
        "bearer",
        set_headers=headers,
        remove_headers=_removed(application, {name for name, _ in headers}),
        lasts=_lasts(application, token, now),
        would_refuse=_would_refuse(application, request, known, now),
        user=application.user(
            token.subject or token.client_id or "",
            token.claims,
            trusts_email=profile.trust_email,
        ),
    )


def _would_refuse(application: Application, request: Request, known: Facts, now: int) -> str:
    """The key of the rule in shadow mode that would have refused the request, or ""."""
    if not request.shadow:
        return ""
    rule = application.access.rule(request.shadow)
    if rule is None:
        raise AccessDiffers("Envoy's route names a rule that the settings do not have")
    refused = application.access.missing(rule, known, now)
    return refused.key if refused is not None else ""


def _check_times(application: Application, token: AccessToken, now: int) -> None:
    """Check what every login has to meet, and that the token has not expired since it was
    verified.
    """
    if now >= token.expires_at + token.profile.clock_skew:
        raise InvalidAccessToken("expired", "it has expired since it was verified")
    demand = application.demand
    if not demand.met(token.acr, token.auth_time, now, token.profile.clock_skew):
        raise demand.insufficient()


def _lasts(application: Application, token: AccessToken, now: int) -> int:
    """Seconds that a request may take: until its token expires."""
    left = max(1, token.expires_at - now)
    return min(left, application.stream_lifetime or left)


def _removed(application: Application, present: set[str]) -> tuple[str, ...]:
    """The headers that are removed from the request, so that no client can write them."""
    removed = {name for name in owned_headers(application) if name not in present}
    forwards = application.bearer is not None and application.bearer.forward
    return tuple(sorted(removed - {AUTHORIZATION} | ({AUTHORIZATION} if not forwards else set())))


def facts(token: AccessToken, application: Application) -> Facts:
    """What the conditions of access see of an access token."""
    profile = token.profile
    address = None
    if application.access.asks_email:
        address = email_address(token.claims.values.get("email"))
    return Facts(
        token.subject,
        profile.issuer,
        token.claims,
        address,
        application.shows_email(token.claims, trusts_email=profile.trust_email),
        groups_of(token.claims.get(profile.groups_claim)),
        token.acr,
        token.auth_time,
        token.issued_at,
        profile.clock_skew,
        token.scopes,
        application.access.holding(token.claims),
    )


def is_by_token(application: Application, request: Request) -> bool:
    """Whether an access token decides a request, or would if there were one: a session does not."""
    rule = application.access.rule(request.rule)
    if rule is None or not rule.accepts_bearer:
        return False
    lines = request.header_lines(AUTHORIZATION)
    several = len(lines) > 1 or any(map(_JOINED.search, lines))
    return not rule.accepts_session or several or any(map(_SCHEME.match, lines))


def challenge(application: Application, request: Request, error: Refusal) -> str | None:
    """The parameters of the challenge Bearer for a refused request (RFC 6750 section 3, RFC 9728
    section 5.1); None where its rule accepts no access token, or where another would not help.

    Clients search the header for a parameter by its name, so no value holds another one's name.
    """
    rule = application.access.rule(request.rule)
    if rule is None or not rule.accepts_bearer or application.bearer is None:
        return None
    code = ""
    if is_by_token(application, request):
        if isinstance(error, InsufficientAuthentication):
            code = error.challenge
        elif isinstance(error, BearerRefusal) and error.error:
            code = f'error="{error.error}"'
    if not code and error.status != 401:
        return None
    wanted = _wanted(application.access.allow, rule)
    scope = f'scope="{wanted}"' if wanted else ""
    metadata = f'resource_metadata="{application.bearer.metadata_url}"'
    return ", ".join(filter(None, (code, scope, metadata)))


def _wanted(allow: Entries, rule: Rule) -> str:
    """The scopes that a token has to have: of each `allow`, the first alternative."""
    wanted: dict[str, None] = {}
    for entries in (allow, rule.allow):
        scopes = next((entry.scopes[0] for entry in entries if entry.scopes), frozenset[str]())
        wanted.update(dict.fromkeys(sorted(scopes)))
    return " ".join(wanted)
