"""Checks a provider's metadata and keys against the settings."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx

from extproc.checks.findings import Finding, error, ok, warning
from extproc.checks.lint_claims import asks_groups
from extproc.checks.provider_keys import AT_PROVIDER, check_introspection, check_keys
from extproc.core.errors import Refusal
from extproc.core.oidc.jose import KEY_OF
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.settings import ApplicationSettings, ProviderSettings, Settings
from extproc.settings.allow import entries_of

_LISTED = 12  # values of a list that a finding shows

_ALGORITHMS = "id_token_signing_alg_values_supported"
_AUTH_METHODS = "token_endpoint_auth_methods_supported"
_ACR_VALUES = "acr_values_supported"
_CLAIMS = "claims_supported"


def check_metadata(
    settings: Settings, name: str, client: httpx.Client, response: httpx.Response
) -> Iterator[Finding]:
    """Findings about a provider's metadata, and the keys that it names.

    Args:
        settings: what the provider has to support.
        name: the name of the provider in the settings.
        client: for the request for the keys.
        response: the response to the discovery request.
    """
    provider, part = settings.providers[name], f"providers.{name}"
    document = _document(response)
    try:
        metadata = ProviderMetadata.parse(
            response.content,
            provider.issuer,
            provider.backchannel_url,
            places=provider.places(settings.own_listeners),
        )
    except Refusal as problem:
        yield error(f"{part}.issuer", problem.detail, _issuer_remedy(provider, document))
        return
    yield ok(part, f"reachable, and its metadata is that of {provider.issuer}")
    lists = _Lists(document)
    yield from _protocol(provider, part, lists)
    if not isinstance(document.get("code_challenge_methods_supported"), list):
        yield warning(
            part,
            "it does not list PKCE with S256; the processor uses it, and the provider may ignore "
            "it",
            "check at the provider whether PKCE can be required of this client",
        )
    yield from _requested(settings, name, lists)
    yield from _email(settings, name, lists)
    yield from _groups(settings, name, lists)
    yield from _logout(provider, document, metadata, part)
    yield from check_introspection(settings, name, metadata)
    yield from check_keys(provider, client, metadata, part)


def _issuer_remedy(provider: ProviderSettings, document: dict[str, Any]) -> str:
    issuer = document.get("issuer")
    if issuer == provider.issuer:
        return f"{AT_PROVIDER}; see also endpoint_hosts and backchannel_url"
    if isinstance(issuer, str) and "{" in issuer:
        return (
            "this address serves many tenants, and each has an issuer of its own: set issuer to "
            "that of your tenant (Entra: https://login.microsoftonline.com/TENANT-ID/v2.0); "
            "several tenants at once are not supported"
        )
    return f"the provider's issuer is {issuer!r}: if it is the right provider, set issuer to that"


def _document(response: httpx.Response) -> dict[str, Any]:
    try:
        value = json.loads(response.content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _email(settings: Settings, name: str, lists: "_Lists") -> Iterator[Finding]:
    """Whether applications can get an address that this provider does not confirm."""
    headers = {
        header: claim
        for each, application in settings.applications.items()
        if application.provider == name
        for header, claim in settings.identity_headers(each).items()
    }
    wanted = [header for header, claim in headers.items() if claim == "email"]
    if settings.providers[name].trust_email or not wanted:
        return
    if lists.lacking(_CLAIMS, ["email_verified"]):
        yield warning(
            f"providers.{name}.trust_email",
            "it does not list the claim email_verified, and an address that it does not confirm "
            f"is not sent to applications: {', '.join(wanted)} may be missing",
            "set it to true if users cannot choose their address there; otherwise have the "
            "provider send email_verified",
        )


def _groups(settings: Settings, name: str, lists: "_Lists") -> Iterator[Finding]:
    """Whether `allow` names groups of a claim that this provider does not list."""
    claim = settings.providers[name].groups_claim
    # A claim may be called by its path or, whole, by a URL.
    unlisted = lists.lacking(_CLAIMS, [claim]) and lists.lacking(_CLAIMS, [claim.split(".")[0]])
    if unlisted and asks_groups(settings, name):
        yield warning(
            f"providers.{name}.groups_claim",
            f"it does not list the claim {claim}, and users without it are in no group: allow "
            "with groups refuses them; some providers do not list all claims",
            f"set it to the claim with groups; it lists {lists.listed(_CLAIMS)}",
        )


def _algorithm_remedy(lists: "_Lists") -> str:
    usable = lists.common(_ALGORITHMS, list(KEY_OF))
    if usable:
        return f"it signs with {', '.join(usable)}: set one of these, as registered"
    return (
        f"it signs with {lists.listed(_ALGORITHMS)}, and none of these is supported: choose RS256 "
        "for this client at the provider"
    )


class _Lists:
    """The lists of the metadata (Discovery section 3). A list that is absent lacks nothing."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def lacking(self, key: str, wanted: Sequence[str]) -> list[str]:
        """The wanted values that the list does not have."""
        listed = self._document.get(key)
        if not isinstance(listed, list):
            return []
        return [value for value in wanted if value not in listed]

    def common(self, key: str, wanted: Sequence[str]) -> list[str]:
        """The wanted values that the list has, in its order."""
        listed = self._document.get(key)
        if not isinstance(listed, list):
            return []
        return [value for value in listed if isinstance(value, str) and value in wanted]

    def listed(self, key: str) -> str:
        """The list's values, shortened for people."""
        return ", ".join(map(str, self._document.get(key, [])[:_LISTED]))


def _protocol(provider: ProviderSettings, part: str, lists: _Lists) -> Iterator[Finding]:
    if lists.lacking("response_types_supported", ["code"]):
        yield error(
            part,
            "it does not support the response type code",
            "choose a client and flow with authorization codes at the provider",
        )
    algorithm = provider.id_token_signed_response_alg
    if lists.lacking(_ALGORITHMS, [algorithm]):
        yield error(
            f"{part}.id_token_signed_response_alg",
            f"it does not sign ID tokens with {algorithm}",
            _algorithm_remedy(lists),
        )
    method = provider.auth_method
    if method != "none" and lists.lacking(_AUTH_METHODS, [method]):
        yield error(
            f"{part}.token_endpoint_auth_method",
            f"its token endpoint does not accept {method}",
            f"it accepts {lists.listed(_AUTH_METHODS)}: set one of these, as registered",
        )


def _requested(settings: Settings, name: str, lists: _Lists) -> Iterator[Finding]:
    """Scopes, refresh tokens and acr values; some providers do not list all that they support."""
    part = f"providers.{name}"
    unlisted = lists.lacking("scopes_supported", settings.providers[name].scopes)
    if unlisted:
        yield warning(
            f"{part}.scopes",
            f"it does not list {', '.join(unlisted)}; some providers do not list all scopes",
            "remove what it does not know, or check at the provider that this client may have it",
        )
    refreshes = settings.session.refresh == "auto"
    if refreshes and lists.lacking("grant_types_supported", ["refresh_token"]):
        yield warning(
            f"{part}.scopes",
            "it does not list the refresh_token grant: tokens cannot be renewed",
            "sessions last for session.lifetime; set session.refresh to never if that is meant",
        )
    for application in settings.protected:
        if settings.applications[application].provider != name:
            continue
        for key, wanted in _acr_values(settings.applications[application]):
            missing = lists.lacking(_ACR_VALUES, wanted)
            if missing:
                yield warning(
                    f"applications.{application}.{key}",
                    f"the provider does not list {', '.join(missing)}",
                    f"it lists {lists.listed(_ACR_VALUES)}",
                )


def _acr_values(application: ApplicationSettings) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The acr values that an application asks for, by the key that names them."""
    yield "acr_values", application.acr_values
    allows = [("allow", application.allow)]
    allows += [(f"rules.{rule.name}.allow", rule.allow) for rule in application.rules]
    for key, allow in allows:
        for entry in entries_of(allow):
            yield f"{key}.acr_values", entry.acr_values or ()


def _logout(
    provider: ProviderSettings, document: dict[str, Any], metadata: ProviderMetadata, part: str
) -> Iterator[Finding]:
    if metadata.end_session_endpoint is None:
        yield warning(
            part,
            "it has no end_session_endpoint: a user who signs out here stays signed in at the "
            "provider, and needs only one click to sign in again",
            "check whether RP-initiated logout can be enabled at the provider",
        )
    if metadata.revocation_endpoint is None:
        yield warning(
            part,
            "it has no revocation_endpoint: tokens of ended sessions stay valid until they expire",
            "choose short-lived access tokens there",
        )
    if provider.backchannel_logout and document.get("backchannel_logout_supported") is not True:
        front = document.get("frontchannel_logout_supported") is True
        yield warning(
            f"{part}.backchannel_logout",
            "it does not list back-channel logout: it may not be able to end sessions here",
            "set it to false and frontchannel_logout to sid, and register as "
            "frontchannel_logout_uri the URL of one application and oauth2/frontchannel-logout"
            if front
            else "set it to false, or register backchannel_logout_uri if the provider has a place "
            "for it",
        )
