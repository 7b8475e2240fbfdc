"""Checks a request's identity assertion as Envoy's jwt_authn filter does."""

from extproc.core.application import Application
from extproc.core.assertion import ALG, SESSION, jwks
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.session import session_ids
from extproc.explain.words import time_span
from extproc.settings import Settings


def accepted(
    settings: Settings,
    application: Application,
    request: Request,
    audiences: tuple[str, ...],
    now: int,
) -> str | None:
    """Why Envoy accepts the request's assertion; None where it does not accept any.

    The checks are those of the generated configuration: signature, issuer, audience, expiry, and
    the session that was sent with it.

    Args:
        settings: the settings that the configuration is generated from.
        application: the application whose route Envoy chose.
        request: the request with its cookies.
        audiences: of which the assertion has to name one on that route.
        now: seconds since the epoch.
    """
    value = request.cookie(application.cookies.assertion)
    if value is None or settings.identity.assertion_lifetime == 0:
        return None
    keys = KeySet.parse(jwks(application.ring).encode())
    try:
        claims = SignedToken.parse(value, ALG).verified(keys)
    except Refusal:
        return None
    handles = [session_id.handle for session_id in session_ids(application, request)]
    of_this_session = (
        claims.get("iss") == application.url
        and not _named(claims.get("aud")).isdisjoint(audiences)
        and handles == [claims.get(SESSION)]
    )
    expires = claims.get("exp")
    if not of_this_session or not isinstance(expires, int) or expires <= now:
        return None
    return f"its assertion is good for {time_span(expires - now)} more"


def _named(audience: object) -> frozenset[str]:
    """The audiences of a token, which are text or a list (RFC 7519 section 4.1.3)."""
    listed = audience if isinstance(audience, list) else [audience]
    return frozenset(each for each in listed if isinstance(each, str))
