"""Settings as values of the core: applications, their clients, published keys."""

from collections.abc import Iterator

from extproc.core.application import Application
from extproc.core.assertion import jwks
from extproc.core.endpoints import CALLBACK, ENDPOINTS, url_of
from extproc.core.oidc.client import Client
from extproc.core.sealing import KeyRing
from extproc.core.step_up import Demand
from extproc.settings import ApplicationSettings, CookieSettings, Settings
from extproc.settings.domain_access import access
from extproc.settings.domain_bearer import bearer_access
from extproc.settings.fingerprint import fingerprint


def public_keys(settings: Settings) -> str:
    """The key set with which Envoy verifies assertions, as JSON (RFC 7517 section 5)."""
    return jwks(settings.key_ring())


def applications(settings: Settings, ring: KeyRing) -> dict[str, Application]:
    """The applications that have a login, by name, as values of the core."""
    return {
        name: _application(settings, name, application, application.provider, ring)
        for name, application in settings.applications.items()
        if application.provider is not None
    }


def _application(
    settings: Settings, name: str, application: ApplicationSettings, provider: str, ring: KeyRing
) -> Application:
    url = settings.url(name)
    session = settings.session_at(name)
    lifetime = application.stream_lifetime
    return Application(
        name=name,
        url=url,
        fingerprint=fingerprint(settings, name),
        hosts=application.hosts,
        client=_client(settings, provider, url),
        ring=ring,
        identity=tuple(settings.identity_headers(name).items()),
        raw_headers=application.identity.raw,
        assertion_lifetime=_assertion_lifetime(settings, application),
        session_lifetime=int(session.lifetime),
        session_idle=int(session.idle),
        session_times=tuple(_session_times(settings)),
        refresh_margin=int(session.refresh_margin) if session.refresh == "auto" else None,
        forward_access_token=application.forward_access_token,
        stream_lifetime=int(lifetime) if lifetime is not None else None,
        backchannel_logout=settings.providers[provider].backchannel_logout,
        frontchannel_logout=settings.providers[provider].frontchannel_logout,
        end_session="off"
        if session.logout == "local"
        else settings.providers[provider].end_session,
        logout_revokes=session.logout != "local",
        logout_everywhere=session.logout == "all",
        demand=_demand(application),
        userinfo_at_refresh=settings.providers[provider].userinfo == "refresh",
        userinfo_at_login=settings.providers[provider].userinfo != "never",
        keeps_unrepeated=settings.providers[provider].claims_at_refresh == "keep",
        trust_email=settings.providers[provider].trust_email,
        max_header_bytes=settings.identity.max_header_bytes,
        header_room=settings.gateway.max_request_headers_kb * 1024 // 2,
        other_endpoints=_other_endpoints(settings, application),
        sessions_per_user=_sessions_per_user(settings),
        clears_cache=session.clear_site_data == "cache",
        log_users=settings.log.users,
        access=access(settings, name),
        groups_claim=settings.providers[provider].groups_claim,
        bearer=bearer_access(settings, name),
    )


def _session_times(settings: Settings) -> Iterator[tuple[str, int, int]]:
    for name in settings.protected:
        session = settings.session_at(name)
        yield name, int(session.lifetime), int(session.idle)


def _sessions_per_user(settings: Settings) -> int | None:
    # sessions in cookies cannot be counted
    return None if isinstance(settings.store, CookieSettings) else settings.session.per_user


def _assertion_lifetime(settings: Settings, application: ApplicationSettings) -> int:
    # requests that Envoy decides by itself carry no access token, so an application that needs the
    # token gets no assertion
    return 0 if application.forward_access_token else int(settings.identity.assertion_lifetime)


def _other_endpoints(settings: Settings, application: ApplicationSettings) -> tuple[str, ...]:
    return tuple(
        other.path_prefix + ENDPOINTS
        for other in settings.applications.values()
        if not other.exclude and other is not application
    )


def _demand(application: ApplicationSettings) -> Demand:
    return Demand(
        acr_values=application.acr_values,
        max_age=int(application.max_age) if application.max_age is not None else None,
        prompt=application.prompt,
        parameters=tuple(application.authorization_params.items()),
    )


def _client(settings: Settings, name: str, url: str) -> Client:
    provider = settings.providers[name]
    secret = provider.secret()
    return Client(
        issuer=provider.issuer,
        client_id=provider.client_id,
        redirect_uri=url_of(url, CALLBACK),
        auth_method=provider.auth_method,
        client_secret=secret.get_secret_value() if secret is not None else None,
        scope=" ".join(provider.scopes),
        id_token_signed_response_alg=provider.id_token_signed_response_alg,
        clock_skew=settings.timeouts.clock_skew,
        trusted_audiences=frozenset(provider.trusted_audiences),
    )
