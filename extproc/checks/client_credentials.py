"""Checks the client's credentials: the provider is sent a code that it never issued.

A provider authenticates the client before it looks at the code (RFC 6749 sections 3.2.1 and 5.2),
so its error says whether the credentials are right.
"""

import secrets
from collections.abc import Iterator

import httpx

from extproc.checks.failures import failure
from extproc.checks.findings import Finding, error, ok, skipped
from extproc.checks.providers import provider_client
from extproc.core.endpoints import CALLBACK, url_of
from extproc.core.errors import Refusal
from extproc.core.oidc.claims import parse_object
from extproc.core.oidc.client import Client, FormRequest
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.settings import Settings

_BY_HAND = "sign in once in a browser: a wrong secret is the error client_refused"


def check_credentials(settings: Settings, application: str) -> Iterator[Finding]:
    """A finding about the credentials of the application's client at its provider."""
    name = str(settings.applications[application].provider)
    part = f"providers.{name}.client_secret"
    provider = settings.providers[name]
    try:
        with provider_client(settings, provider) as client:
            metadata = ProviderMetadata.parse(
                client.get(provider.discovery_url).content,
                provider.issuer,
                provider.backchannel_url,
                places=provider.places(settings.own_listeners),
            )
            form = _made_up_code(settings, application)
            headers = {"authorization": form.authorization} if form.authorization else {}
            answer = client.post(
                metadata.token_endpoint, data=dict(form.parameters), headers=headers
            )
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError, Refusal) as problem:
        why = failure(problem) if isinstance(problem, httpx.HTTPError) else type(problem).__name__
        what = f"the client's credentials: no answer to a token request ({why})"
        yield skipped(part, what, _BY_HAND)
        return
    yield _judged(settings, name, part, answer)


def _made_up_code(settings: Settings, application: str) -> FormRequest:
    """The request that redeems a code, with a code and a verifier that are random."""
    provider = settings.providers[str(settings.applications[application].provider)]
    secret = provider.secret()
    client = Client(
        issuer=provider.issuer,
        client_id=provider.client_id,
        redirect_uri=url_of(settings.url(application), CALLBACK),
        auth_method=provider.auth_method,
        client_secret=secret.get_secret_value() if secret is not None else None,
    )
    return client.authenticated(
        (
            ("grant_type", "authorization_code"),
            ("code", secrets.token_urlsafe(24)),
            ("redirect_uri", client.redirect_uri),
            ("code_verifier", secrets.token_urlsafe(48)),
        )
    )


def _judged(settings: Settings, name: str, part: str, answer: httpx.Response) -> Finding:
    provider = settings.providers[name]
    code = _error_code(answer)
    if code == "invalid_grant":
        return ok(part, f"the provider accepts the credentials of the client {provider.client_id}")
    if code == "invalid_client" or answer.status_code == 401:
        return error(
            part,
            f"the provider refuses the credentials of the client {provider.client_id} "
            f"({answer.status_code} {code})".rstrip(),
            "compare client_secret and token_endpoint_auth_method, which is "
            f"{provider.auth_method}, with the registration",
        )
    if code == "unauthorized_client":
        return error(
            part,
            f"the client {provider.client_id} may not redeem codes (unauthorized_client)",
            "allow it the authorization code flow at the provider",
        )
    return skipped(
        part,
        "the client's credentials: the provider answers a made-up code with "
        f"{answer.status_code} {code}".rstrip(),
        _BY_HAND,
    )


def _error_code(answer: httpx.Response) -> str:
    """The error of a token response (RFC 6749 section 5.2); '' if there is none."""
    try:
        code = parse_object(answer.content).get("error")
    except ValueError:
        return ""
    return code[:60] if isinstance(code, str) else ""
