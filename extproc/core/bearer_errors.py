"""Refusals of access tokens that API callers bring.

Refusal
|- InvalidAccessToken        bearer_token_<check>
`- Unavailable
   |- BearerKeyPending       bearer_token_key_pending
   `- TooManyIntrospections  too_many_introspections
"""

from extproc.core.errors import Refusal, Unavailable


class InvalidAccessToken(Refusal):
    """The access token fails a check (RFC 9068 section 4, RFC 7662 section 2.2), which is the error
    invalid_token of RFC 6750. check: its name, such as signature or audience.
    """

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
