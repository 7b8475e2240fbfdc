"""What becomes of a request that brings an access token: one that exists, for `extproc explain`, or
one that is made of claims, for `extproc test`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from extproc.core.access_conditions import Facts
from extproc.core.application import Application
from extproc.core.bearer import decide_bearer, facts
from extproc.core.bearer_errors import InvalidAccessToken
from extproc.core.decisions import Continue
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.access_token import AccessToken, checked_claims
from extproc.core.provider_errors import InvalidIDToken
from extproc.explain.access import of_conditions
from extproc.explain.observation import Observation, of_refusal
from extproc.explain.words import of_decision
from extproc.settings import Settings


@dataclass(frozen=True, slots=True)
class TokenLookup:
    """What was found out about an access token.

    Attributes:
        token: the token, if it is good.
        text: for the operator; nothing of the token but how long it lasts.
        refusal: why it is not good; None if that cannot be said here.
    """

    token: AccessToken | None = field(repr=False)
    text: str
    refusal: Refusal | None = None


# seconds that a token of a test lives
_LIFE = 300
FindToken = Callable[[Settings, Application, str, int], TokenLookup]


def of_caller(
    settings: Settings, application: Application, request: Request, lookup: TokenLookup, now: int
) -> Iterator[Observation]:
    """What is known of the token and of the conditions, and the verdict.

    Args:
        settings: the settings.
        application: the application that the processor decides for.
        request: the request, with the names of the rules.
        lookup: what was found out about its token.
        now: seconds since the epoch.
    """
    yield Observation(lookup.text)
    if lookup.refusal is not None:
        yield of_refusal(lookup.refusal)
        return
    if lookup.token is None:
        yield Observation("the processor verifies the token, and decides by it", verdict=True)
        return
    for text in of_conditions(
        settings, application, request, facts(lookup.token, application), now
    ):
        yield Observation(text)
    try:
        decision = decide_bearer(application, request, lookup.token, now)
    except Refusal as refusal:
        yield of_refusal(refusal)
        return
    yield Observation(of_decision(settings, application, decision), verdict=True)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token that is made of claims.

    Attributes:
        claims: those that matter; the others are what the application's provider would write.
        auth_age: seconds since its user authenticated; None: it does not say.
        age: seconds since it was issued.
    """

    claims: Mapping[str, Any] = field(repr=False)
    auth_age: int | None = None
    age: int = 0


def decided(
    application: Application, request: Request, token: Token, now: int
) -> tuple[Continue | Refusal, Facts | None]:
    """What a request with a token comes to, and what the conditions see of the token; None if it is
    not accepted at all.

    Args:
        application: the application that the processor decides for.
        request: the request, with the names of the rules.
        token: the token.
        now: seconds since the epoch.
    """
    try:
        made = access_token_of(application, token, now)
    except Refusal as refusal:
        return refusal, None
    try:
        return decide_bearer(application, request, made, now), facts(made, application)
    except Refusal as refusal:
        return refusal, facts(made, application)


def access_token_of(application: Application, token: Token, now: int) -> AccessToken:
    """The token as the processor would have it. Raises InvalidAccessToken."""
    profiles = application.bearer.profiles if application.bearer is not None else ()
    issuer = token.claims.get("iss", profiles[0].issuer if profiles else None)
    profile = next((each for each in profiles if each.issuer == issuer), None)
    if profile is None:
        raise InvalidAccessToken("issuer", "iss is none of the providers whose tokens count")
    issued = now - token.age
    claims = {
        "iss": profile.issuer,
        "aud": application.url,
        "iat": issued,
        # It may be older than any token lives: the test is about its age, and not about its end.
        "exp": now + _LIFE,
        **({} if token.auth_age is None else {"auth_time": now - token.auth_age}),
        **{name: values[0] for name, values in profile.required_claims if "." not in name},
        **token.claims,
    }
    try:
        return checked_claims(profile, claims, now)
    except InvalidIDToken as error:
        raise InvalidAccessToken(error.check, error.detail) from None
