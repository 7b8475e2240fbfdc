"""Who is signed in: `assertion` (Envoy verifies by itself), what skips `decide`, and `gate` (the
second lock).
"""

from envoy_data_plane.envoy.config.core.v3 import HttpUri
from envoy_data_plane.envoy.extensions.filters.http.jwt_authn.v3 import (
    JwksAsyncFetch,
    JwtAuthentication,
    JwtCacheConfig,
    JwtClaimToHeader,
    JwtHeader,
    JwtProvider,
    JwtRequirement,
    JwtRequirementOrList,
    RemoteJwks,
)
from envoy_data_plane.google.protobuf import Empty

from extproc.addresses import Address, reachable
from extproc.contract import COOKIES, STREAM_DURATION
from extproc.core.assertion import LASTS, jwks
from extproc.core.http import CookieNames
from extproc.envoyconfig.builders import seconds, text
from extproc.settings import Settings

KEYS = "keys"  # the cluster that they come from
_CACHED_ASSERTIONS = 10_000
_FETCH = 1.0  # seconds for one fetch of the keys
_CLOCKS = 5.0  # seconds that Envoy's clock may be behind
_AHEAD = 5.0  # seconds before the end of cache_duration Envoy fetches again


def protected(settings: Settings) -> tuple[str, ...]:
    """The applications whose users sign in."""
    return tuple(
        name for name, application in settings.applications.items() if not application.exclude
    )


def asserted(settings: Settings) -> tuple[str, ...]:
    """Those of them whose assertions Envoy verifies itself. An access token is in no assertion: who
    wants it asks the processor.
    """
    if settings.identity.assertion_lifetime == 0:
        return ()
    return tuple(
        name for name in protected(settings) if not settings.applications[name].forward_access_token
    )


def fast_path(settings: Settings) -> bool:
    """Whether Envoy verifies any assertion itself."""
    return bool(asserted(settings))


def assertion(settings: Settings) -> JwtAuthentication:
    """One provider and one requirement per application; a route names its own. Nothing is refused
    here.
    """
    anything = JwtRequirement(allow_missing_or_failed=Empty())
    return JwtAuthentication(
        providers={name: _provider(settings, name) for name in asserted(settings)},
        requirement_map={
            name: JwtRequirement(
                requires_any=JwtRequirementOrList(
                    requirements=[JwtRequirement(provider_name=name), anything]
                )
            )
            for name in asserted(settings)
        },
    )


def assertion_cookie(settings: Settings, name: str) -> str:
    return CookieNames(name, settings.url(name).startswith("https://")).assertion


def key_servers(settings: Settings) -> tuple[Address, ...]:
    """Where Envoy gets the keys; none: they stand in its configuration, since nobody said where it
    would reach them.
    """
    if not fast_path(settings):
        return ()
    return settings.gateway.keys or (
        () if settings.gateway.processors else (reachable(settings.admin),)
    )


def _remote(settings: Settings) -> RemoteJwks | None:
    """Fetched ahead, in no request's time, every keys_refresh; what is known stays when a fetch
    fails, which is tried again in 1 s.

    Envoy listens when its first fetch has ended, well or not: what it cannot verify then is the
    processor's to decide.
    """
    if not (servers := key_servers(settings)):
        return None
    return RemoteJwks(
        http_uri=HttpUri(
            uri=f"http://{servers[0]}/.well-known/jwks.json", cluster=KEYS, timeout=seconds(_FETCH)
        ),
        cache_duration=seconds(settings.identity.keys_refresh + _AHEAD),
        async_fetch=JwksAsyncFetch(),
    )


def _provider(settings: Settings, name: str) -> JwtProvider:
    remote = _remote(settings)
    return JwtProvider(
        issuer=settings.url(name),
        audiences=[name],
        require_expiration=True,
        # what was made with a stolen key, and verified while that was in the ring, ends as soon as
        # what we make
        max_lifetime=seconds(settings.identity.assertion_lifetime + _CLOCKS),
        clock_skew_seconds=1,  # 0 would mean 60
        remote_jwks=remote,
        local_jwks=text(jwks(settings.key_ring())) if remote is None else None,
        # out of our cookies and nowhere else: a bearer token is never an assertion
        from_headers=[JwtHeader(name=COOKIES, value_prefix=f"{assertion_cookie(settings, name)}=")],
        # the other cookies in it are the processor's, should an assertion turn out to name nobody
        forward=True,
        jwt_cache_config=JwtCacheConfig(jwt_cache_size=_CACHED_ASSERTIONS),
        claim_to_headers=[
            *(JwtClaimToHeader(header_name=h, claim_name=h) for h in settings.identity.headers),
            JwtClaimToHeader(header_name=STREAM_DURATION, claim_name=LASTS),
        ],
    )
