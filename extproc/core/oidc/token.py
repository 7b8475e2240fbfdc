"""The token endpoint: grants as requests, and responses read strictly (RFC 6749 sections 4.1.3, 5
and 6; RFC 7009).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extproc.core.errors import ClientRefused, CodeRefused, InvalidTokenResponse, Refusal
from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.oidc.claims import number, parse_object
from extproc.core.oidc.client import Client, FormRequest

# seconds that an access token lives if the response has no expires_in
DEFAULT_LIFE = 300
# seconds: the longest life of an access token, a year
MAX_LIFE = 31_536_000


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """The response to the grant of a code. expires_in: seconds. Tokens are never printed."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int

    @classmethod
    def parse(cls, body: bytes) -> "TokenResponse":
        """Read a response, which has to have an ID token. Raises InvalidTokenResponse."""
        response = RefreshResponse.parse(body)
        if response.id_token is None:
            raise InvalidTokenResponse("id_token is missing or no token")
        return cls(
            response.access_token, response.id_token, response.refresh_token, response.expires_in
        )


@dataclass(frozen=True, slots=True)
class RefreshResponse:
    """The response to a refresh grant. It may omit tokens that stay as they were. expires_in:
    seconds.
    """

    access_token: str = field(repr=False)
    id_token: str | None = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int

    @classmethod
    def parse(cls, body: bytes) -> "RefreshResponse":
        """Read a response. Raises InvalidTokenResponse."""
        try:
            response = parse_object(body)
        except ValueError as error:
            raise InvalidTokenResponse(f"the token response is {error}") from None
        token_type = response.get("token_type")
        if not isinstance(token_type, str) or token_type.lower() != "bearer":
            raise InvalidTokenResponse("token_type is not Bearer")
        access_token = _token(response, "access_token")
        id_token = _token(response, "id_token")
        refresh_token = _token(response, "refresh_token")
        if access_token is None:
            raise InvalidTokenResponse("access_token is missing or no token")
        life = number(response.get("expires_in", DEFAULT_LIFE))
        if life is None or life < 0:
            raise InvalidTokenResponse("expires_in is no number of seconds")
        return cls(access_token, id_token, refresh_token, int(min(life, MAX_LIFE)))


def _token(response: Mapping[str, Any], name: str) -> str | None:
    """A token of a response; None if it is absent. Raises InvalidTokenResponse."""
    token = response.get(name)
    if token is None:
        return None
    if (
        not isinstance(token, str)
        or not token
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise InvalidTokenResponse(f"{name} is missing or no token")
    return token


def code_grant(client: Client, code: str, pending: PendingAuthorization) -> FormRequest:
    """The request that redeems a code (RFC 6749 section 4.1.3), with the PKCE verifier (RFC 7636
    section 4.5).
    """
    return client.authenticated(
        (
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", client.redirect_uri),
            ("code_verifier", pending.code_verifier),
        )
    )


def refresh_grant(client: Client, refresh_token: str) -> FormRequest:
    """The request that renews tokens (RFC 6749 section 6). It has no scope, so the scope that was
    granted stays.
    """
    return client.authenticated((("grant_type", "refresh_token"), ("refresh_token", refresh_token)))


def revocation(client: Client, token: str, hint: str) -> FormRequest:
    """The request that revokes a token (RFC 7009 section 2.1).

    hint: the kind of the token, access_token or refresh_token.
    """
    return client.authenticated((("token", token), ("token_type_hint", hint)))


def token_error(body: bytes) -> Refusal:
    """The refusal for a 4xx response of the token endpoint (RFC 6749 section 5.2)."""
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
            return InvalidTokenResponse(
                "the token endpoint refuses with an error that is not registered"
            )
