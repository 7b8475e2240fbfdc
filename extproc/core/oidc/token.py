"""The token endpoint: grants as requests, and responses read strictly (RFC 6749 sections 4.1.3, 5
and 6; RFC 7009).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from extproc.core.oidc.authorization import PendingAuthorization
from extproc.core.oidc.claims import parse_object
from extproc.core.oidc.client import Client, FormRequest
from extproc.core.provider_errors import InvalidTokenResponse, Tokens

# seconds that an access token lives if the response does not say
DEFAULT_LIFE = 300
# seconds: the longest life of an access token, a year
MAX_LIFE = 31_536_000
# tokens that are revoked of a response that cannot be accepted
MAX_TOKENS = 4


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
            raise InvalidTokenResponse("id_token is missing or no token", tokens_in(body))
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
        """Read a response. Raises InvalidTokenResponse, with the tokens that it has."""
        try:
            return cls._read(body)
        except InvalidTokenResponse as error:
            raise InvalidTokenResponse(error.detail, tokens_in(body)) from None

    @classmethod
    def _read(cls, body: bytes) -> "RefreshResponse":
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
        life = _life(response.get("expires_in"))
        return cls(access_token, id_token, refresh_token, life)


def _life(value: object) -> int:
    """Read expires_in: seconds, as a JSON number (RFC 6749 section 5.1) or as text, which some
    providers send (section A.14: 1*DIGIT).

    A lifetime of 0 or less is as unknown as an absent one: some providers mean "it never expires"
    by it, and a token that had expired when it came would be renewed for ever.

    Raises InvalidTokenResponse.
    """
    if isinstance(value, str):
        value = _whole_number(value)
    if value is None:
        return DEFAULT_LIFE
    if isinstance(value, bool) or not isinstance(value, int | float) or value == math.inf:
        raise InvalidTokenResponse("expires_in is no number of seconds")
    return int(min(value, MAX_LIFE)) if value >= 1 else DEFAULT_LIFE


def _whole_number(text: str) -> int:
    """The number that a text of ASCII digits is. Raises InvalidTokenResponse."""
    if re.fullmatch(r"-?[0-9]+", text) is None:
        raise InvalidTokenResponse("expires_in is no number of seconds")
    if text.startswith("-"):
        return 0
    # int() refuses thousands of digits; so many are beyond MAX_LIFE anyway
    return int(text.lstrip("0")[:12] or "0")


def _token(response: Mapping[str, Any], name: str) -> str | None:
    """A token of a response; None if it is absent. Raises InvalidTokenResponse."""
    token = response.get(name)
    if token is None:
        return None
    if not _is_token(token):
        raise InvalidTokenResponse(f"{name} is missing or no token")
    return str(token)


def _is_token(value: object) -> bool:
    return (
        isinstance(value, str)
        and value != ""
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )


def tokens_in(body: bytes) -> Tokens:
    """The tokens of a response that cannot be accepted, so that they can be revoked.

    It reads what parse() refuses as well, such as members that stand twice. Nothing but a
    revocation may be made of the result.
    """
    try:
        members = json.loads(body, object_pairs_hook=_Members)
    # RecursionError: lists within lists within lists
    except (ValueError, RecursionError):
        return ()
    if not isinstance(members, _Members):
        return ()
    found = (
        (name, str(value))
        for name, value in members
        if name in ("refresh_token", "access_token") and _is_token(value)
    )
    return tuple(islice(found, MAX_TOKENS))


class _Members(list[tuple[str, Any]]):
    """The members of a JSON object, in order, also those that stand twice."""


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
