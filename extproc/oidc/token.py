"""The token endpoint: grants as requests, answers read strictly (RFC 6749 sections 4.1.3, 5 and RFC 7009)."""

from dataclasses import dataclass, field

from extproc.oidc.authorization import PendingAuthorization
from extproc.oidc.claims import number, parse_object
from extproc.oidc.client import Client, FormRequest
from extproc.oidc.errors import ClientRefused, CodeRefused, InvalidTokenResponse, OIDCError

DEFAULT_LIFE = 300  # of an access token whose answer has no expires_in


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """expires_in: seconds. Tokens are never printed."""

    access_token: str = field(repr=False)
    id_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: int

    @classmethod
    def parse(cls, body: bytes) -> "TokenResponse":
        """Raises InvalidTokenResponse."""
        try:
            answer = parse_object(body)
        except ValueError as error:
            raise InvalidTokenResponse(f"the token response is {error}") from None
        token_type = answer.get("token_type")
        if not isinstance(token_type, str) or token_type.lower() != "bearer":
            raise InvalidTokenResponse("token_type is not Bearer")
        tokens = {name: answer.get(name) for name in ("access_token", "id_token", "refresh_token")}
        for name, token in tokens.items():
            if token is None and name == "refresh_token":
                continue
            if (
                not isinstance(token, str)
                or not token
                or not token.isascii()
                or not token.isprintable()
                or " " in token
            ):
                raise InvalidTokenResponse(f"{name} is missing or no token")
        expires_in = answer.get("expires_in", DEFAULT_LIFE)
        life = number(expires_in)
        if life is None or life < 0:
            raise InvalidTokenResponse("expires_in is no number of seconds")
        return cls(
            str(tokens["access_token"]), str(tokens["id_token"]), tokens["refresh_token"], int(min(life, 31_536_000))
        )


def code_grant(client: Client, code: str, pending: PendingAuthorization) -> FormRequest:
    """RFC 6749 section 4.1.3 with the PKCE verifier (RFC 7636 section 4.5)."""
    return client.authenticated(
        (
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", client.redirect_uri),
            ("code_verifier", pending.code_verifier),
        )
    )


def revocation(client: Client, token: str, hint: str) -> FormRequest:
    """RFC 7009 section 2.1; hint: access_token or refresh_token."""
    return client.authenticated((("token", token), ("token_type_hint", hint)))


def token_error(body: bytes) -> OIDCError:
    """What a 4xx of the token endpoint means (RFC 6749 section 5.2)."""
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
            return InvalidTokenResponse("the token endpoint refuses with an error that is not registered")
