"""Provider metadata (OpenID Connect Discovery 1.0 section 3), checked when it is read, and
rewritten for a back channel.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from extproc.core.errors import InvalidMetadata
from extproc.core.http import origin
from extproc.core.oidc.claims import parse_object
from extproc.core.oidc.endpoint_places import EndpointPlaces
from extproc.core.oidc.urls import url_fault

# describes what is wrong with a URL; None: it can be called
UrlFault = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The endpoints of a provider.

    authorization_endpoint and end_session_endpoint are for the browser. The others are as the
    processor calls them, so a back channel is already in them. iss_parameter_supported: whether
    the provider sends iss to the callback (RFC 9207).
    """

    issuer: str
    authorization_endpoint: str
    end_session_endpoint: str | None
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    revocation_endpoint: str | None
    iss_parameter_supported: bool
    introspection_endpoint: str | None = None

    @classmethod
    def parse(
        cls,
        body: bytes,
        issuer: str,
        backchannel_url: str | None = None,
        client_fault: UrlFault = url_fault,
        places: EndpointPlaces | None = None,
    ) -> "ProviderMetadata":
        """Read a discovery document.

        Args:
            body: the document.
            issuer: the issuer of the settings, which the document has to repeat exactly.
            backchannel_url: the base of the URLs that the processor calls, if it is another than
                the issuer.
            client_fault: a further check of URLs, by the HTTP client that will call them.
            places: where endpoints may be; default: anywhere that issuer and backchannel_url allow.

        Raises:
            InvalidMetadata: the issuer is another, or an endpoint is missing or unsafe.
        """
        try:
            document = parse_object(body)
        except ValueError as error:
            raise InvalidMetadata(f"the discovery document is {error}") from None
        if document.get("issuer") != issuer:
            raise InvalidMetadata(
                "the discovery document names another issuer than the settings (compared "
                "byte for byte)"
            )
        methods = document.get("code_challenge_methods_supported")
        if isinstance(methods, list) and "S256" not in methods:
            # A missing list is common and harmless. A provider whose list lacks S256 would ignore
            # the challenge (RFC 9700 section 2.1.1).
            raise InvalidMetadata("code_challenge_methods_supported lacks S256")
        places = places or EndpointPlaces(issuer, backchannel_url)
        read = _Reader(document, issuer, backchannel_url, client_fault, places)
        return cls(
            issuer=issuer,
            authorization_endpoint=read.required("authorization_endpoint", browser=True),
            end_session_endpoint=read.optional("end_session_endpoint", browser=True),
            token_endpoint=read.required("token_endpoint"),
            jwks_uri=read.required("jwks_uri"),
            userinfo_endpoint=read.optional("userinfo_endpoint"),
            revocation_endpoint=read.optional("revocation_endpoint"),
            introspection_endpoint=read.optional("introspection_endpoint"),
            iss_parameter_supported=document.get("authorization_response_iss_parameter_supported")
            is True,
        )


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the URLs of a discovery document. Its methods raise InvalidMetadata."""

    document: Mapping[str, Any]
    issuer: str
    backchannel_url: str | None
    client_fault: UrlFault
    places: EndpointPlaces

    def required(self, name: str, *, browser: bool = False) -> str:
        """The URL of an endpoint. browser: the browser calls it, not the processor."""
        url = self.optional(name, browser=browser)
        if url is None:
            raise InvalidMetadata(f"the discovery document has no {name}")
        return url

    def optional(self, name: str, *, browser: bool = False) -> str | None:
        """The URL of an endpoint, or None if the document has none."""
        value = self.document.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidMetadata(f"{name} is no URL")
        self._check(name, value)
        if not browser and self.backchannel_url is not None:
            value = self._rewritten(value, self.backchannel_url)
            self._check(name, value)
        fault = self.places.fault(value, browser=browser)
        if fault is not None:
            raise InvalidMetadata(f"{name} {fault}")
        return value

    def _check(self, name: str, url: str) -> None:
        """Check that HTTP clients accept a URL; before that nothing else may parse it."""
        fault = url_fault(url) or self.client_fault(url)
        if fault is not None:
            raise InvalidMetadata(f"{name} {fault}")

    def _rewritten(self, endpoint: str, backchannel: str) -> str:
        """The URL by which the processor calls a public endpoint.

        A URL that is below backchannel_url already stays as it is. A URL below the issuer is moved
        below backchannel_url, another URL of the issuer's origin is moved to the origin of
        backchannel_url, and any other URL stays as it is.
        """
        base, inner = self.issuer.rstrip("/"), backchannel.rstrip("/")
        if endpoint == inner or endpoint.startswith(inner + "/"):
            return endpoint
        if endpoint == base or endpoint.startswith(base + "/"):
            return inner + endpoint[len(base) :]
        if origin(endpoint) == origin(base):
            parts = urlsplit(endpoint)
            return origin(inner) + parts.path + (f"?{parts.query}" if parts.query else "")
        return endpoint
