"""Settings as values of the core: applications, their clients, published keys."""

from extproc.core.application import Application
from extproc.core.assertion import jwks
from extproc.core.endpoints import CALLBACK, ENDPOINTS, url_of
from extproc.core.oidc.client import Client
from extproc.core.sealing import KeyRing
from extproc.core.step_up import Demand
from extproc.settings import ApplicationSettings, Settings


def public_keys(settings: Settings) -> str:
    """The assertion's key set as JSON."""
    return jwks(settings.key_ring())


def applications(settings: Settings, ring: KeyRing) -> dict[str, Application]:
    """The applications that have a login, as the core knows them."""
    return {
        name: Application(
            name=name,
            url=settings.url(name),
            hosts=application.hosts,
            client=_client(settings, application.provider, settings.url(name)),
            ring=ring,
            identity=tuple(settings.identity.headers.items()),
            # Envoy's own lane has no access token: such an application has no assertion
            assertion_lifetime=0
            if application.forward_access_token
            else int(settings.identity.assertion_lifetime),
            session_lifetime=int(settings.session.lifetime),
            session_idle=int(settings.session.idle),
            refresh_margin=int(settings.session.refresh_margin)
            if settings.session.refresh == "auto"
            else None,
            forward_access_token=application.forward_access_token,
            stream_lifetime=int(application.stream_lifetime)
            if application.stream_lifetime is not None
            else None,
            backchannel_logout=settings.providers[application.provider].backchannel_logout,
            logout_everywhere=settings.session.logout == "all",
            demand=_demand(application),
            userinfo_at_refresh=settings.providers[application.provider].userinfo == "refresh",
            other_endpoints=tuple(
                other.path_prefix + ENDPOINTS
                for other in settings.applications.values()
                if not other.exclude and other is not application
            ),
            sessions_per_user=settings.session.per_user,
        )
        for name, application in settings.applications.items()
        if application.provider is not None
    }


def _demand(application: ApplicationSettings) -> Demand:
    return Demand(
        application.acr_values,
        int(application.max_age) if application.max_age is not None else None,
        application.prompt,
        tuple(application.authorization_params.items()),
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
    )
