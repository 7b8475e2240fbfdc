"""Client: a client registration at a provider, and its authentication at the token endpoint (RFC
6749 section 2.3, OpenID Connect Core section 9).
"""

import base64
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import quote_plus, urlencode

Parameters = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ClientCredentials:
    """How a client authenticates at the endpoints of a provider.

    auth_method: client_secret_basic, client_secret_post or none. client_secret: needed unless
    auth_method is none.
    """

    client_id: str
    auth_method: str
    client_secret: str | None = field(default=None, repr=False)

    def authenticated(self, parameters: Parameters) -> "FormRequest":
        """A request to an endpoint with the client's credentials."""
        if self.auth_method == "client_secret_basic":
            # both are form-encoded first (RFC 6749 section 2.3.1); otherwise a colon or a percent
            # sign would break them
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret or '')}"
            return FormRequest(parameters, "Basic " + base64.b64encode(pair.encode()).decode())
        credentials: Parameters = (("client_id", self.client_id),)
        if self.auth_method == "client_secret_post":
            credentials += (("client_secret", self.client_secret or ""),)
        return FormRequest(parameters + credentials, None)


@dataclass(frozen=True)
class Client:
    """A client registration at a provider.

    Attributes:
        auth_method: client_secret_basic, client_secret_post or none.
        client_secret: needed unless auth_method is none.
        id_token_signed_response_alg: the only accepted algorithm of ID tokens.
        clock_skew: seconds by which the provider's clock may differ.
        trusted_audiences: further audiences that an ID token for this client may have.
    """

    issuer: str
    client_id: str
    redirect_uri: str
    auth_method: str
    client_secret: str | None = field(default=None, repr=False)
    scope: str = "openid"
    id_token_signed_response_alg: str = "RS256"
    clock_skew: float = 60
    trusted_audiences: frozenset[str] = frozenset()

    @cached_property
    def authorization_query(self) -> str:
        """The parameters that are the same in every authorization request (OpenID Connect Core
        section 3.1.2.1); PKCE is always S256.
        """
        return urlencode(
            {
                "response_type": "code",
                "client_id": self.client_id,
                "redirect_uri": self.redirect_uri,
                "scope": self.scope,
                "code_challenge_method": "S256",
            }
        )

    def authenticated(self, parameters: Parameters) -> "FormRequest":
        """A request to the token or revocation endpoint with the client's credentials."""
        credentials = ClientCredentials(self.client_id, self.auth_method, self.client_secret)
        return credentials.authenticated(parameters)


@dataclass(frozen=True, slots=True)
class FormRequest:
    """A POST of application/x-www-form-urlencoded. authorization: the Authorization header."""

    parameters: Parameters = field(repr=False)
    authorization: str | None = field(default=None, repr=False)
