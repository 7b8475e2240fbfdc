"""Refusals of access tokens that API callers bring.

Refusal
|- BearerRefusal             with an error code of RFC 6750
|  |- TokenRequired          bearer_token_required
|  |- InvalidAuthorization   invalid_authorization
|  |- InsufficientScope      insufficient_scope
|  `- InvalidAccessToken     bearer_token_<check>
`- Unavailable
   |- BearerKeyPending       bearer_token_key_pending
   `- TooManyIntrospections  too_many_introspections
"""

from extproc.core.errors import Refusal, Unavailable


class BearerRefusal(Refusal):
    """Base of refusals about the access token of a request, or its absence. error: the code of RFC
    6750 section 3.1; "" where the request brought no token.
    """

    error = ""


class TokenRequired(BearerRefusal):
    """The deciding rule accepts access tokens alone, and the request brought none."""

    reason = "bearer_token_required"


class InvalidAuthorization(BearerRefusal):
    """The request has several headers Authorization, or a malformed one."""

    reason = "invalid_authorization"
    error = "invalid_request"


class InsufficientScope(BearerRefusal):
    """The access token lacks a scope, and nothing else. detail: the key of the settings that does
    not hold.
    """

    reason = "insufficient_scope"
    error = "insufficient_scope"


class InvalidAccessToken(BearerRefusal):
    """The access token fails a check (RFC 9068 section 4, RFC 7662 section 2.2), which is the error
    invalid_token of RFC 6750. check: its name, such as signature or audience.
    """

    error = "invalid_token"

    def __init__(self, check: str, detail: str = "") -> None:
        self.check = check
        self.reason = f"bearer_token_{check}"
        super().__init__(detail)


class BearerKeyPending(Unavailable):
    """The access token names a key that is not known yet, and it is too early to fetch the keys
    again.
    """

    reason = "bearer_token_key_pending"


class TooManyIntrospections(Unavailable):
    """The client's address brought too many opaque tokens in a minute that were not active."""

    reason = "too_many_introspections"
