"""Errors of the token endpoint (RFC 6749 section 5.2): what they mean for a code, and for a refresh
token.
"""

import re

from extproc.core.errors import Refusal
from extproc.core.oidc.claims import parse_object
from extproc.core.provider_errors import (
    ClientRefused,
    CodeRefused,
    InvalidTokenResponse,
    ProviderFailed,
)

_NOT_REGISTERED = "the token endpoint refuses with an error that is not registered"
# What the provider has against this refresh token or this user. Auth0 sends both with 403 as well.
_OF_THE_GRANT = frozenset(("invalid_grant", "access_denied"))
# What it has against this request, with status 400. With 401 and 403 Keycloak says
# unauthorized_client of wrong credentials, and proxies say the others.
_OF_THE_REQUEST = frozenset(
    ("invalid_request", "invalid_scope", "unauthorized_client", "unsupported_grant_type")
)
# The user has to come back (OpenID Connect Core section 3.1.2.6); mfa_required is Auth0's.
_OF_THE_USER = frozenset(
    (
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "login_required",
        "mfa_required",
    )
)
# errors that pass by themselves, whatever the status says
_TEMPORARY = frozenset(
    (
        "bad_request",
        "internal_error",
        "internal_server_error",
        "over_capacity",
        "rate_limit_exceeded",
        "rate_limited",
        "server_error",
        "service_unavailable",
        "slow_down",
        "temporarily_unavailable",
        "timeout",
        "too_many_requests",
        "unexpected_error",
        "unknown_error",
        "upstream_error",
    )
)
# 408 Request Timeout, 425 Too Early, 429 Too Many Requests
_TRY_AGAIN = (408, 425, 429)


def code_error(body: bytes) -> Refusal:
    """The refusal of a code, for a 4xx response of the token endpoint."""
    try:
        error = parse_object(body).get("error")
    except ValueError:
        return InvalidTokenResponse("an error answer without a JSON object")
    match error:
        case "invalid_grant":
            return CodeRefused("invalid_grant")
        case "invalid_client" | "unauthorized_client":
            return ClientRefused(error)
        case "invalid_request" | "unsupported_grant_type" | "invalid_scope":
            return InvalidTokenResponse(f"the token endpoint says {error}")
        case _:
            return InvalidTokenResponse(_NOT_REGISTERED)


def refresh_error(status: int, body: bytes) -> Refusal:
    """The refusal of a refresh token, for a 4xx response of the token endpoint.

    CodeRefused is final for the refresh token: the provider answers with an error of OAuth that no
    later try can change. Every other refusal leaves the session as it is: those of the client's
    credentials, because the operator can correct them, errors that pass by themselves, and answers
    that are not the token endpoint's own, such as the page of a proxy.
    """
    if status in _TRY_AGAIN:
        return ProviderFailed(f"the provider answers {status}")
    try:
        error = parse_object(body).get("error")
    except ValueError:
        error = None
    if isinstance(error, str):
        if error in _OF_THE_GRANT or error in _OF_THE_USER:
            return CodeRefused(error)
        if error in _OF_THE_REQUEST and status == 400:
            return CodeRefused(error)
        if _is_final(status, error):
            return CodeRefused(_NOT_REGISTERED)
    return code_error(body)


def _is_final(status: int, error: str) -> bool:
    """Whether an error that is not registered refuses the refresh token for good."""
    if error.endswith("_required"):
        return True
    # "Bad Request" and the like are the words of a framework or a proxy, and no error of OAuth.
    named = re.fullmatch(r"[a-z][a-z0-9_]{0,63}", error) is not None
    # Names such as invalid_client_secret are about the credentials, like invalid_client.
    return status == 400 and named and "client" not in error and error not in _TEMPORARY
