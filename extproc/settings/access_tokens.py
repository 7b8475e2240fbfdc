"""Settings of a provider's access tokens, as API callers bring them."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, StrictStr, model_validator

from extproc.core.oidc.client import ClientCredentials
from extproc.settings.allow import Value
from extproc.settings.client_secret import check_client_secret, client_secret
from extproc.settings.types import Model, SigningAlg

_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,63}")
# typ of other kinds of signed token: RFC 8417, 9101, 9449, 9701, and OpenID Connect
_OTHER_TYPES = (
    "logout+jwt",
    "secevent+jwt",
    "oauth-authz-req+jwt",
    "dpop+jwt",
    "token-introspection+jwt",
)
# Claims that an ID token of the same provider has as well, so they prove nothing.
_IN_ID_TOKENS = (
    "iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "at_hash", "c_hash", "s_hash",
    "auth_time", "acr", "amr", "sid", "email", "email_verified",
)  # fmt: skip
# the claims by which providers tell their kinds of token apart, and values of the other kinds
_KINDS = ("typ", "token_use", "token_type")
_OTHER_KINDS = ("id", "id_token", "refresh", "refresh_token", "offline", "logout", "dpop")
Values = Annotated[tuple[Value, ...], Field(min_length=1)]


class IntrospectionSettings(Model):
    """A client that may ask the provider about tokens (RFC 7662); often one of its own, so that
    the client of the logins need not be allowed to.
    """

    client_id: str = Field(
        min_length=1, max_length=255, description="client id, as registered at the provider"
    )
    client_secret: SecretStr | None = Field(None, description="client secret, as registered")
    client_secret_file: Path | None = Field(
        None, description="file with the client secret, instead of client_secret"
    )
    token_endpoint_auth_method: Literal["client_secret_basic", "client_secret_post"] | None = Field(
        None,
        description="how the client authenticates at the introspection endpoint; default: "
        "client_secret_basic",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_client_secret(self.client_secret, self.client_secret_file, "enter the registered one")
        if self.client_secret is None and self.client_secret_file is None:
            raise ValueError(
                "client_secret or client_secret_file is needed: no provider may answer a client "
                "that does not authenticate (RFC 7662 section 2.1)"
            )
        return self

    def secret(self) -> SecretStr | None:
        """The client secret, read from its file if there is one. Raises OSError."""
        return client_secret(self.client_secret, self.client_secret_file)

    def credentials(self) -> ClientCredentials:
        """The client's credentials. Raises OSError."""
        secret = self.secret()
        text = secret.get_secret_value() if secret is not None else None
        method = self.token_endpoint_auth_method or "client_secret_basic"
        return ClientCredentials(self.client_id, method, text)


class AccessTokenSettings(Model):
    """What the provider's access tokens are, for applications that take them from API callers."""

    signing_alg: SigningAlg | None = Field(
        None,
        description="the one signing algorithm that is accepted in access tokens; default: "
        "id_token_signed_response_alg",
    )
    types: Annotated[tuple[StrictStr, ...], Field(min_length=1)] = Field(
        ("at+jwt",),
        description="values of typ in the header that are accepted (RFC 9068); JWT, also for a "
        "token without typ, only together with required_claims",
    )
    required_claims: dict[StrictStr, Values] = Field(
        {},
        description="values by the name or path of a claim; every JWT has to have one of each. "
        "Where a provider's access tokens are plain JWTs, this proves that a token is one, and no "
        "ID token",
    )
    scope_claim: str = Field(
        "scope",
        min_length=1,
        max_length=255,
        description="claim with the scopes, by its name or its path, such as scp: text with blanks "
        "between them, or a list",
    )
    introspection: IntrospectionSettings | None = Field(
        None,
        description="the client that asks the provider about opaque tokens; default: none is asked "
        "about",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in self.types:
            _check_type(name)
        if "jwt" in (name.lower() for name in self.types) and not self.required_claims:
            raise ValueError(
                "types: JWT is the type of ID tokens as well, so it goes with required_claims, "
                "such as {token_use: [access]}"
            )
        for claim, values in self.required_claims.items():
            _check_required(claim, values)
        return self


def _check_type(name: str) -> None:
    """Check a value of typ. Raises ValueError."""
    if _TYPE.fullmatch(name) is None:
        raise ValueError(
            "types is a list of values of typ, such as at+jwt, without application/ before them"
        )
    if name.lower() in _OTHER_TYPES:
        raise ValueError(f"types: {name} is the type of another kind of token")


def _check_required(claim: str, values: tuple[Value, ...]) -> None:
    """Check that a required claim can prove something. Raises ValueError."""
    if not claim or claim in _IN_ID_TOKENS:
        raise ValueError(
            f"required_claims: {claim or 'an empty name'} is in ID tokens as well, or in no token; "
            "name a claim that only access tokens have, such as token_use or scp"
        )
    others = [value for value in values if str(value).lower() in _OTHER_KINDS]
    if claim in _KINDS and others:
        raise ValueError(f"required_claims.{claim}: {others[0]} is another kind of token")
