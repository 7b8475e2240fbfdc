"""Checks the settings of a provider against what is known of public providers by their issuer."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from extproc.checks.findings import Finding, warning
from extproc.settings import ProviderSettings

_ENTRA = (
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
)
# first segments of the path at which Entra serves many tenants
_MANY_TENANTS = ("common", "organizations", "consumers", "{tenantid}", "{tenant}")
_COGNITO = re.compile(r"cognito-idp\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
_OKTA = re.compile(r"[a-z0-9-]+\.okta(?:preview|-emea)?\.com")
# the path of an issuer
_KEYCLOAK = re.compile(r"(?:/auth)?/realms/[^/]+/?")
_LINKEDIN = ("www.linkedin.com", "linkedin.com")


def plain_tokens(issuer: str) -> str:
    """The provider's name if its access tokens are JWTs whose typ is not at+jwt, by default; "" for
    any other, or if the issuer does not tell.
    """
    parts = urlsplit(issuer)
    host = parts.hostname or ""
    if host in _ENTRA:
        return "Entra"
    if _COGNITO.fullmatch(host):
        return "Cognito"
    if _OKTA.fullmatch(host):
        return "Okta"
    return "Keycloak" if _KEYCLOAK.fullmatch(parts.path) else ""


def known_provider(name: str, provider: ProviderSettings) -> Iterator[Finding]:
    """Findings about a provider that asks for other settings, or that cannot be used.

    Args:
        name: its name in the settings.
        provider: its settings.
    """
    parts, part = urlsplit(provider.issuer), f"providers.{name}"
    host, tenant = parts.hostname or "", parts.path.strip("/").partition("/")[0]
    if host in _ENTRA and tenant.lower() in _MANY_TENANTS:
        yield warning(
            f"{part}.issuer",
            f"{provider.issuer} serves many tenants, and tokens name the tenant's own issuer: "
            "each login would be refused",
            f"set issuer to https://{host}/TENANT-ID/v2.0; several tenants at once are not "
            "supported",
        )
    if host == "appleid.apple.com" and set(provider.scopes) - {"openid"}:
        yield warning(
            f"{part}.scopes",
            "Apple gives name and email only with response_mode form_post, which the processor "
            "does not support: it answers a login with these scopes by invalid_request",
            "set scopes to [openid]",
        )
    if _COGNITO.fullmatch(host) and provider.end_session == "rp_initiated":
        yield warning(
            f"{part}.end_session",
            "Cognito's logout wants logout_uri: a user who signs out ends on its error page",
            "set it to logout_uri, and list oauth2/signed-out of each application as a sign-out "
            "URL of the app client",
        )
    if host in _LINKEDIN:
        yield warning(
            f"{part}.issuer",
            "LinkedIn returns no nonce in its ID tokens, so each login is refused (id_token_nonce)",
            "put a provider between that signs in at LinkedIn, such as Keycloak",
        )
