"""A provider as it is: reachable, what its metadata says against the settings, its keys, its
clock.
"""

import email.utils
import json
import ssl
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx

from extproc.checks.findings import Finding, error, ok, warning
from extproc.checks.lint import serving
from extproc.core.errors import Refusal
from extproc.core.oidc.jose import KeySet
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.settings import ProviderSettings, Settings

DISCOVERY = "/.well-known/openid-configuration"
_TICK = 2.0  # seconds: a Date header has whole ones, and the answer was under way


def check_provider(settings: Settings, name: str) -> Iterator[Finding]:
    """With the network."""
    provider, part = settings.providers[name], f"providers.{name}"
    base = (provider.backchannel_url or provider.issuer).rstrip("/")
    try:
        with _client(settings, provider) as client:
            asked = time.time()
            document = _get(client, base + DISCOVERY)
            yield from _clock(settings, document, (asked + time.time()) / 2, part)
            yield from _metadata(settings, name, client, document)
    except _Unusable as problem:
        yield error(f"{part}.{problem.key}", problem.what, problem.remedy)
    except httpx.HTTPError as problem:
        yield _unreachable(settings, provider, part, problem)
    except OSError as problem:
        what = f"{provider.ca_file} cannot be used: {problem.strerror or type(problem).__name__}"
        yield error(
            f"{part}.ca_file",
            what,
            "name a PEM file with the authority of the provider's certificate",
        )


class _Unusable(Exception):
    """An answer that is none; it becomes one finding."""

    def __init__(self, key: str, what: str, remedy: str) -> None:
        self.key, self.what, self.remedy = key, what, remedy


def _client(settings: Settings, provider: ProviderSettings) -> httpx.Client:
    timeouts = settings.timeouts
    return httpx.Client(
        verify=ssl.create_default_context(cafile=provider.ca_file),
        trust_env=provider.trust_env,
        follow_redirects=False,
        timeout=httpx.Timeout(timeouts.call, connect=timeouts.connect),
        headers={
            "user-agent": "extproc",
            "accept": "application/json",
            "accept-encoding": "identity",
        },
    )


def _get(client: httpx.Client, url: str) -> httpx.Response:
    answer = client.get(url)
    if answer.status_code != 200:
        leads = " (redirects are not followed)" if answer.is_redirect else ""
        remedy = (
            "compare issuer with what the provider's own page says, its path included; behind a "
            "proxy see backchannel_url"
        )
        raise _Unusable("issuer", f"{url} answers {answer.status_code}{leads}", remedy)
    return answer


def _unreachable(
    settings: Settings, provider: ProviderSettings, part: str, problem: httpx.HTTPError
) -> Finding:
    url = provider.backchannel_url or provider.issuer
    behind = serving(settings, url)
    what = f"{urlsplit(url).netloc} cannot be reached from here: {_words(problem)}"
    if behind is not None:
        return warning(
            f"{part}.issuer", what, "it is behind this gateway: start Envoy, then look again"
        )
    remedy = (
        "see that its name resolves, and that this machine may connect to it (a proxy: "
        "trust_env; --offline leaves the network out)"
    )
    if isinstance(problem.__context__ or problem.__cause__, ssl.SSLError) or "CERTIFICATE" in str(
        problem
    ):
        remedy = "set ca_file to the authority that the provider's certificate is from"
    return error(f"{part}.issuer", what, remedy)


def _words(problem: httpx.HTTPError) -> str:
    return (
        "no answer in time"
        if isinstance(problem, httpx.TimeoutException)
        else str(problem) or type(problem).__name__
    )


def _clock(settings: Settings, answer: httpx.Response, now: float, part: str) -> Iterator[Finding]:
    """By the Date header (RFC 9110 section 6.6.1)."""
    try:
        said = email.utils.parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return
    ahead, allowed = said - now, settings.timeouts.clock_skew
    words = (
        f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    )
    if abs(ahead) <= _TICK:
        yield ok(part, "its clock agrees with this machine's")
    elif abs(ahead) > allowed:
        what = f"{words}, more than timeouts.clock_skew, {allowed:g} s: ID tokens are refused"
        yield error(part, what, "run an NTP client on both machines")
    else:
        yield warning(
            part,
            words,
            "run an NTP client on both machines before it becomes more than timeouts.clock_skew",
        )


def _metadata(
    settings: Settings, name: str, client: httpx.Client, answer: httpx.Response
) -> Iterator[Finding]:
    provider, part = settings.providers[name], f"providers.{name}"
    try:
        metadata = ProviderMetadata.parse(answer.content, provider.issuer, provider.backchannel_url)
    except Refusal as problem:
        said = _object(answer).get("issuer")
        remedy = (
            f"the provider says issuer {said!r}: if it is the right one, write it so"
            if said != provider.issuer
            else _BROKEN
        )
        yield error(f"{part}.issuer", problem.detail, remedy)
        return
    yield ok(part, f"reachable, and its metadata is that of {provider.issuer}")
    document = _object(answer)
    yield from _supported(settings, name, document)
    yield from _logout(provider, document, metadata, part)
    yield from _keys(provider, client, metadata, part)


_BROKEN = "the provider's metadata has to be mended at the provider"


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = json.loads(answer.content)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


class _Lists:
    """Lists of the metadata. One that is absent says nothing."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def lacking(self, key: str, wanted: Sequence[str]) -> list[str]:
        listed = self._document.get(key)
        return [each for each in wanted if each not in listed] if isinstance(listed, list) else []

    def said(self, key: str) -> str:
        return ", ".join(map(str, self._document.get(key, [])[:12]))


def _supported(settings: Settings, name: str, document: dict[str, Any]) -> Iterator[Finding]:
    """Lists of the metadata (Discovery section 3) that lack what the settings ask for."""
    lists = _Lists(document)
    yield from _protocol(settings.providers[name], f"providers.{name}", lists)
    if not isinstance(document.get("code_challenge_methods_supported"), list):
        what = "it does not say that it supports PKCE with S256; we send it, and it may be ignored"
        yield warning(
            f"providers.{name}",
            what,
            "see at the provider whether PKCE can be required of this client",
        )
    yield from _asked_for(settings, name, lists)


def _protocol(provider: ProviderSettings, part: str, lists: _Lists) -> Iterator[Finding]:
    if lists.lacking("response_types_supported", ["code"]):
        yield error(
            part,
            "it does not support the response type code",
            "choose a client and flow with authorization codes at the provider",
        )
    if lists.lacking(
        key := "id_token_signing_alg_values_supported", [provider.id_token_signed_response_alg]
    ):
        what = f"it does not sign ID tokens with {provider.id_token_signed_response_alg}"
        remedy = f"it signs with {lists.said(key)}: set one of these, as registered"
        yield error(f"{part}.id_token_signed_response_alg", what, remedy)
    key, method = "token_endpoint_auth_methods_supported", provider.auth_method
    if method != "none" and lists.lacking(key, [method]):
        remedy = f"it takes {lists.said(key)}: set one of these, as registered"
        yield error(
            f"{part}.token_endpoint_auth_method",
            f"its token endpoint does not take {method}",
            remedy,
        )


def _asked_for(settings: Settings, name: str, lists: _Lists) -> Iterator[Finding]:
    """Scopes, refresh tokens, acr: of these, some providers list not all."""
    part = f"providers.{name}"
    for scope in lists.lacking("scopes_supported", settings.providers[name].scopes):
        what = f"it does not list the scope {scope}; some providers list not all"
        yield warning(
            f"{part}.scopes",
            what,
            "leave it out, or see at the provider that this client may have it",
        )
    if settings.session.refresh == "auto" and lists.lacking(
        "grant_types_supported", ["refresh_token"]
    ):
        yield warning(
            f"{part}.scopes",
            "it lists no refresh_token grant: tokens cannot be renewed",
            "sessions end as session.lifetime says; set session.refresh to never if that is meant",
        )
    for application in settings.protected:
        wanted = settings.applications[application]
        if wanted.provider == name and (
            gone := lists.lacking(key := "acr_values_supported", wanted.acr_values)
        ):
            what = f"the provider does not list {', '.join(gone)}"
            yield warning(
                f"applications.{application}.acr_values", what, f"it lists {lists.said(key)}"
            )


def _logout(
    provider: ProviderSettings, document: dict[str, Any], metadata: ProviderMetadata, part: str
) -> Iterator[Finding]:
    if metadata.end_session_endpoint is None:
        what = (
            "it has no end_session_endpoint: who signs out here stays signed in there, and is "
            "in again with one click"
        )
        yield warning(
            part, what, "see whether RP-initiated logout can be switched on at the provider"
        )
    if metadata.revocation_endpoint is None:
        yield warning(
            part,
            "it has no revocation_endpoint: tokens of ended sessions live until they expire",
            "choose short access tokens there",
        )
    if provider.backchannel_logout and document.get("backchannel_logout_supported") is not True:
        what = (
            "it does not say that it supports back-channel logout: it may not be able to end "
            "sessions here"
        )
        yield warning(
            f"{part}.backchannel_logout",
            what,
            "set it to false, or register backchannel_logout_uri if the provider has a "
            "place for it",
        )


def _keys(
    provider: ProviderSettings, client: httpx.Client, metadata: ProviderMetadata, part: str
) -> Iterator[Finding]:
    alg = provider.id_token_signed_response_alg
    try:
        answer = client.get(metadata.jwks_uri)
        keys = KeySet.parse(answer.content) if answer.status_code == 200 else None
    except httpx.HTTPError as problem:
        yield error(
            part,
            f"its keys at {metadata.jwks_uri} cannot be fetched: {_words(problem)}",
            "see that this machine may connect to that address, too",
        )
        return
    except Refusal as problem:
        yield error(part, f"{metadata.jwks_uri}: {problem.detail}", _BROKEN)
        return
    fitting = [key for key in keys.keys if key.fits(alg)] if keys else []
    if keys is None:
        yield error(part, f"{metadata.jwks_uri} answers {answer.status_code}", _BROKEN)
    elif not fitting:
        kinds = (
            ", ".join(
                sorted({f"{key.kty} {key.alg or key.crv or ''}".strip() for key in keys.keys})
            )
            or "none that can be used"
        )
        yield error(
            f"{part}.id_token_signed_response_alg",
            f"its key set has no key for {alg}",
            f"it has {kinds}: set the algorithm that it signs with",
        )
    else:
        yield ok(part, f"{len(fitting)} of its keys verify {alg}")
