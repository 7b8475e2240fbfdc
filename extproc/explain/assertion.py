"""A request's identity assertion, looked at as Envoy's jwt_authn filter does."""

from extproc.core.application import Application
from extproc.core.assertion import ALG, SESSION, jwks
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.jose import KeySet, SignedToken
from extproc.core.session import session_ids
from extproc.settings import Settings


def ago(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def asserted(
    settings: Settings, application: Application, request: Request, now: int
) -> str | None:
    """Why Envoy believes this request's assertion, or None: what jwt_authn of the generated
    configuration looks at.
    """
    value = request.cookie(application.cookies.assertion)
    if value is None or settings.identity.assertion_lifetime == 0:
        return None
    try:
        claims = SignedToken.parse(value, ALG).verified(
            KeySet.parse(jwks(application.ring).encode())
        )
    except Refusal:
        return None
    expires = claims.get("exp")
    right = claims.get("iss") == application.url and claims.get("aud") == application.name
    right = right and [known.handle for known in session_ids(application, request)] == [
        claims.get(SESSION)
    ]
    if not right or not isinstance(expires, int) or expires <= now:
        return None
    return f"its assertion is good for {ago(expires - now)} more"
