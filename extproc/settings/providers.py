"""An OpenID Provider, and the client that we are there."""

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from extproc.addresses import is_loopback
from extproc.settings.types import Model, called_address

AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]
SigningAlg = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
]


class ProviderSettings(Model):
    """An OpenID Provider and the client that we are there."""

    issuer: str = Field(
        description="compared byte for byte with what the provider says; https, or http on loopback"
    )
    client_id: str = Field(
        min_length=1, max_length=255, description="as registered at the provider"
    )
    client_secret: SecretStr | None = Field(
        None, description="as registered; none for a public client"
    )
    client_secret_file: Path | None = Field(None, description="a file with it, instead")
    token_endpoint_auth_method: AuthMethod | None = Field(
        None, description="client_secret_basic when there is a secret, else none (public client)"
    )
    backchannel_url: str | None = Field(
        None,
        description="where we call instead of issuer; the endpoints of its discovery document are "
        "rewritten",
    )
    scopes: tuple[str, ...] = Field(
        ("openid", "email", "profile"), description="what is asked for; openid is always among them"
    )
    id_token_signed_response_alg: SigningAlg = Field(
        "RS256", description="the one algorithm that ID tokens are accepted in"
    )
    ca_file: Path | None = Field(
        None,
        description="what the provider's certificate is verified with; default: the system's "
        "authorities",
    )
    userinfo: Literal["login", "refresh"] = Field(
        "login",
        description="when UserInfo is asked; refresh: at the login, and again each time that a "
        "session's tokens are renewed",
    )
    backchannel_logout: bool = Field(
        True,
        description="the provider may end sessions (OpenID Connect Back-Channel Logout); needs "
        "store.tombstones where they are in cookies",
    )
    trust_env: bool = Field(
        False,
        description="use HTTP(S)_PROXY and NO_PROXY of the environment for calls to this provider",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        called_address(self.issuer, "issuer")
        if self.issuer.startswith("http://") and not is_loopback(
            urlsplit(self.issuer).hostname or ""
        ):
            raise ValueError(
                "issuer begins with https://; http is for loopback only (backchannel_url "
                "may be http)"
            )
        if self.backchannel_url is not None:
            called_address(self.backchannel_url, "backchannel_url")
        if self.client_secret is not None and self.client_secret_file is not None:
            raise ValueError("client_secret or client_secret_file, not both")
        if self.client_secret is not None and not self.client_secret.get_secret_value():
            raise ValueError("client_secret is empty; leave it out for a public client")
        if "openid" not in self.scopes:
            raise ValueError("scopes must contain openid")
        if any(not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in self.scopes):
            raise ValueError(
                "scopes is a list of scope names, each without blanks or quotes (RFC 6749 "
                "section 3.3)"
            )
        has_secret = self.client_secret is not None or self.client_secret_file is not None
        if self.token_endpoint_auth_method not in (None, "none") and not has_secret:
            raise ValueError(
                f"token_endpoint_auth_method {self.token_endpoint_auth_method} needs "
                "client_secret or client_secret_file"
            )
        if self.token_endpoint_auth_method == "none" and has_secret:
            raise ValueError(
                "token_endpoint_auth_method none is a public client: leave client_secret out"
            )
        return self

    @property
    def auth_method(self) -> AuthMethod:
        if self.token_endpoint_auth_method is not None:
            return self.token_endpoint_auth_method
        return (
            "none"
            if self.client_secret is None and self.client_secret_file is None
            else "client_secret_basic"
        )

    def secret(self) -> SecretStr | None:
        """The client secret, read from its file when one is named."""
        if self.client_secret_file is not None:
            return SecretStr(self.client_secret_file.read_text().strip())
        return self.client_secret
