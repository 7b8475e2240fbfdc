"""Settings of one OpenID Provider, and of the processor as its client."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator

from extproc.addresses import Address, is_loopback
from extproc.core.http import origin
from extproc.core.oidc.endpoint_places import EndpointPlaces
from extproc.core.oidc.urls import url_fault
from extproc.settings.access_tokens import AccessTokenSettings
from extproc.settings.client_secret import check_client_secret, client_secret
from extproc.settings.listen import HostName
from extproc.settings.types import OFF, Model, SigningAlg, called_address

# what follows the issuer in the address of its metadata (Discovery section 4)
DISCOVERY = "/.well-known/openid-configuration"
AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]


class ProviderSettings(Model):
    """An OpenID Provider, and the client as which the processor is registered there."""

    issuer: str = Field(
        description="issuer identifier of the provider, compared byte for byte; https, or http on "
        "loopback"
    )
    client_id: str = Field(
        min_length=1, max_length=255, description="client id, as registered at the provider"
    )
    client_secret: SecretStr | None = Field(
        None, description="client secret, as registered; leave it out for a public client"
    )
    client_secret_file: Path | None = Field(
        None, description="file with the client secret, instead of client_secret"
    )
    token_endpoint_auth_method: AuthMethod | None = Field(
        None,
        description="how the client authenticates at the token endpoint; default: "
        "client_secret_basic if there is a secret, otherwise none (public client)",
    )
    backchannel_url: str | None = Field(
        None,
        description="base address that the processor calls instead of issuer; it replaces issuer "
        "in the endpoints of the discovery document",
    )
    metadata_url: str | None = Field(
        None,
        description="address of the discovery document, where it is not issuer (or "
        "backchannel_url) followed by /.well-known/openid-configuration",
    )
    endpoint_hosts: tuple[HostName, ...] = Field(
        (),
        description="the only hosts on which the discovery document's endpoints may be, beside "
        "those of issuer and backchannel_url; default: any host but this machine's own and "
        "link-local addresses",
    )
    scopes: tuple[str, ...] = Field(
        ("openid", "email", "profile"),
        description="scopes that a login requests; openid must be among them",
    )
    id_token_signed_response_alg: SigningAlg = Field(
        "RS256", description="the one signing algorithm that is accepted in ID tokens"
    )
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that the provider's certificate is verified "
        "with; default: the system's authorities",
    )
    userinfo: Literal["login", "refresh", "never"] = Field(
        "login",
        description="when the processor calls UserInfo. login: at the login; refresh: also each "
        "time that a session's tokens are renewed; never: the claims of the ID token are enough, "
        "or UserInfo refuses the access tokens of this client",
    )
    claims_at_refresh: Literal["replace", "keep"] = Field(
        "replace",
        description="what becomes of claims at a refresh. replace: those that a newer ID token or "
        "UserInfo leaves out are gone; keep: they stay as they were at the login, for providers "
        "that do not repeat them",
    )
    trust_email: bool = Field(
        False,
        description="send applications the claim email although the provider does not send "
        "email_verified: true; only where users cannot choose their own address",
    )
    groups_claim: str = Field(
        "groups",
        min_length=1,
        max_length=255,
        description="claim with a user's groups, for `allow`, by its name or its path, such as "
        "realm_access.roles: a list, one group as text, or an object whose keys are groups "
        "(docs/access.md)",
    )
    trusted_audiences: tuple[str, ...] = Field(
        (),
        description="audiences that an ID token may have beside client_id, as some providers list "
        "every client of a project; azp must then be client_id",
    )
    backchannel_logout: bool = Field(
        True,
        description="let the provider end sessions (OpenID Connect Back-Channel Logout); sessions "
        "in cookies need store.tombstones for it",
    )
    frontchannel_logout: Annotated[Literal["off", "browser", "sid"], OFF] = Field(
        "off",
        description="which session the provider may end by a frame in the browser (OpenID Connect "
        "Front-Channel Logout). browser: the one whose cookie the frame has, for which the "
        "provider must be of the gateway's site; sid: every session of the sid in the address, "
        "which other applications of the provider may know",
    )
    end_session: Annotated[Literal["rp_initiated", "logout_uri", "off"], OFF] = Field(
        "rp_initiated",
        description="how a user's logout continues at the provider's end_session_endpoint. "
        "rp_initiated: by OpenID Connect RP-Initiated Logout 1.0; logout_uri: with client_id and "
        "logout_uri alone, as AWS Cognito wants it; off: not at all, the user stays signed in "
        "there",
    )
    access_tokens: AccessTokenSettings = Field(
        AccessTokenSettings(),
        description="what the access tokens are that API callers bring to applications with bearer",
    )
    trust_env: bool = Field(
        False,
        description="use HTTP(S)_PROXY and NO_PROXY of the environment for calls to this provider",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_addresses()
        check_client_secret(
            self.client_secret, self.client_secret_file, "leave it out for a public client"
        )
        if "openid" not in self.scopes:
            raise ValueError("scopes must contain openid")
        if any(not re.fullmatch(r"[\x21\x23-\x5b\x5d-\x7e]+", scope) for scope in self.scopes):
            raise ValueError(
                "scopes is a list of scope names, each without blanks or quotes (RFC 6749 "
                "section 3.3)"
            )
        if not all(self.trusted_audiences) or self.client_id in self.trusted_audiences:
            raise ValueError(
                "trusted_audiences is a list of audiences beside client_id, such as the ids of "
                "other clients"
            )
        if self.token_endpoint_auth_method not in (None, "none") and not self._has_secret:
            raise ValueError(
                f"token_endpoint_auth_method {self.token_endpoint_auth_method} needs "
                "client_secret or client_secret_file"
            )
        if self.token_endpoint_auth_method == "none" and self._has_secret:
            raise ValueError(
                "token_endpoint_auth_method none is a public client: leave client_secret out"
            )
        return self

    def _check_addresses(self) -> None:
        called_address(self.issuer, "issuer")
        if "/.well-known/" in self.issuer:
            raise ValueError(
                "issuer is the address without /.well-known/…: leave that off, because the "
                "processor appends it"
            )
        host = urlsplit(self.issuer).hostname or ""
        if self.issuer.startswith("http://") and not is_loopback(host):
            raise ValueError(
                "issuer begins with https://; http is for loopback only (backchannel_url "
                "may be http)"
            )
        if self.backchannel_url is not None:
            called_address(self.backchannel_url, "backchannel_url")
        if self.metadata_url is not None:
            self._check_metadata_url(self.metadata_url)

    def _check_metadata_url(self, url: str) -> None:
        fault = url_fault(url)
        if fault is not None:
            raise ValueError(
                f"metadata_url {fault}; it is the whole address of a document, such as "
                "https://idp.example/index.php/.well-known/openid-configuration"
            )
        parts = urlsplit(url)
        calls = origin(self.backchannel_url) if self.backchannel_url is not None else None
        if (
            parts.scheme == "http"
            and not is_loopback(parts.hostname or "")
            and origin(url) != calls
        ):
            raise ValueError(
                "metadata_url begins with https://; http is for loopback, and for the host of a "
                "backchannel_url with http"
            )

    @property
    def discovery_url(self) -> str:
        """The address of the discovery document (OpenID Connect Discovery section 4)."""
        base = (self.backchannel_url or self.issuer).rstrip("/")
        return self.metadata_url or base + DISCOVERY

    def places(self, listeners: tuple[Address, ...]) -> EndpointPlaces:
        """Where the provider's endpoints may be.

        listeners: of the processor and of Envoy, which no endpoint may lead to.
        """
        return EndpointPlaces(self.issuer, self.backchannel_url, self.endpoint_hosts, listeners)

    @property
    def _has_secret(self) -> bool:
        return self.client_secret is not None or self.client_secret_file is not None

    @property
    def auth_method(self) -> AuthMethod:
        """How the client authenticates at the token endpoint."""
        if self.token_endpoint_auth_method is not None:
            return self.token_endpoint_auth_method
        return "client_secret_basic" if self._has_secret else "none"

    def secret(self) -> SecretStr | None:
        """The client secret, read from its file if there is one. Raises OSError."""
        return client_secret(self.client_secret, self.client_secret_file)

    def written_secrets(self) -> Iterator[tuple[str, SecretStr]]:
        """The secrets that the settings file has itself, each with its key."""
        if self.client_secret is not None:
            yield "client_secret", self.client_secret
        asking = self.access_tokens.introspection
        if asking is not None and asking.client_secret is not None:
            yield "access_tokens.introspection.client_secret", asking.client_secret
