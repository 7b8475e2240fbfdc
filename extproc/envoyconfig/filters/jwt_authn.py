"""`assertion`: the jwt_authn filter, by which Envoy itself verifies identity assertions.

It turns a valid assertion into identity headers, so that a signed-in request needs no call of the
processor. It refuses nothing: requests without a valid assertion go to the processor.
"""

from collections.abc import Iterator

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
    ProviderWithAudiences,
    RemoteJwks,
)
from envoy_data_plane.google.protobuf import Empty

from extproc.addresses import Address, http_target, reachable
from extproc.contract import COOKIES, STREAM_DURATION
from extproc.core.assertion import ENVOY_SKEW, LASTS, SESSION, jwks
from extproc.core.cookies import CookieNames
from extproc.envoyconfig.builders import seconds, text
from extproc.settings import Settings
from extproc.settings.domain_access import access

# The cluster that has the processor's public keys.
KEYS = "keys"
# The namespace of the filter's dynamic metadata, and the name of a verified assertion in it.
# Whether a request is signed in is read there: unlike a header, no client and no other filter can
# write it.
JWT_AUTHN = "envoy.filters.http.jwt_authn"
PAYLOAD = "assertion"
# The path of a value that every verified assertion has.
VERIFIED = (PAYLOAD, SESSION)
_CACHED_ASSERTIONS = 10_000
_FETCH_TIMEOUT = 1.0  # seconds
_CLOCK_SKEW = 5.0  # seconds that Envoy's clock may be behind
_FETCHED_AHEAD = 5.0  # seconds before the end of cache_duration, at which Envoy fetches again


def asserted(settings: Settings) -> tuple[str, ...]:
    """The applications whose assertions Envoy verifies.

    An application that gets access tokens always needs the processor, because assertions do not
    contain them.
    """
    if settings.identity.assertion_lifetime == 0:
        return ()
    return tuple(
        name for name in settings.protected if not settings.applications[name].forward_access_token
    )


def fast_path(settings: Settings) -> bool:
    """Whether Envoy verifies assertions of any application."""
    return bool(asserted(settings))


def assertion(settings: Settings) -> JwtAuthentication:
    """A JWT provider and a requirement for each application. A route names its requirement, which a
    request without a valid assertion meets, too.
    """
    return JwtAuthentication(
        providers={name: _provider(settings, name) for name in asserted(settings)},
        requirement_map={
            requirement: _by(verified)
            for name in asserted(settings)
            for requirement, verified in _requirements(settings, name)
        },
    )


def requirement_name(name: str, rule: str = "", shadow: str = "") -> str:
    """The name of the requirement of an application's route.

    Args:
        name: the application.
        rule: the rule that decides the requests of the route, or "".
        shadow: the rule in shadow mode that takes them as well, or "".
    """
    return ":".join((name, rule, shadow)).rstrip(":")


def _requirements(settings: Settings, name: str) -> Iterator[tuple[str, JwtRequirement]]:
    """The requirements of an application's routes, by their names: its assertion, and where the
    application has rules, with the audience of the rule.
    """
    entitlement = access(settings, name)
    if not entitlement.digest:
        yield requirement_name(name), JwtRequirement(provider_name=name)
        return
    for rule, shadow, audience in entitlement.audiences:
        verified = ProviderWithAudiences(provider_name=name, audiences=[audience])
        required = JwtRequirement(provider_and_audiences=verified)
        yield requirement_name(name, rule, shadow), required


def _by(verified: JwtRequirement) -> JwtRequirement:
    """A requirement that a request without a valid assertion meets, too."""
    anything = JwtRequirement(allow_missing_or_failed=Empty())
    return JwtRequirement(requires_any=JwtRequirementOrList(requirements=[verified, anything]))


def assertion_cookie(settings: Settings, name: str) -> str:
    """The name of an application's assertion cookie."""
    return CookieNames(name, settings.url(name).startswith("https://")).assertion


def key_servers(settings: Settings) -> tuple[Address, ...]:
    """The addresses from which Envoy fetches the public keys.

    Without any, Envoy's configuration contains the keys. That is so without a fast path, and where
    gateway.processors is set without gateway.keys, because the processor's admin listener may then
    be on another machine.
    """
    if not fast_path(settings):
        return ()
    if settings.gateway.keys:
        return settings.gateway.keys
    return () if settings.gateway.processors else (reachable(settings.admin),)


def _remote(settings: Settings) -> RemoteJwks | None:
    """The keys over HTTP, which Envoy fetches every keys_refresh, before it needs them.

    After a failed fetch Envoy keeps the keys that it has, and tries again in 1 s. It begins to
    listen after its first fetch, even a failed one: the processor decides requests whose assertion
    Envoy cannot verify. None where Envoy's configuration contains the keys.
    """
    servers = key_servers(settings)
    if not servers:
        return None
    return RemoteJwks(
        http_uri=HttpUri(
            uri=f"{http_target(str(servers[0]))[0]}/.well-known/jwks.json",
            cluster=KEYS,
            timeout=seconds(_FETCH_TIMEOUT),
        ),
        cache_duration=seconds(settings.identity.keys_refresh + _FETCHED_AHEAD),
        async_fetch=JwksAsyncFetch(),
    )


def _provider(settings: Settings, name: str) -> JwtProvider:
    remote = _remote(settings)
    return JwtProvider(
        issuer=settings.url(name),
        # On routes of applications with rules the requirement has others.
        audiences=[access(settings, name).audience("")],
        require_expiration=True,
        # An assertion that an attacker made with a stolen key, and that Envoy verified while the
        # key was in the ring, expires as soon as one of the processor's.
        max_lifetime=seconds(settings.identity.assertion_lifetime + _CLOCK_SKEW),
        # 0 would mean 60.
        clock_skew_seconds=ENVOY_SKEW,
        remote_jwks=remote,
        local_jwks=text(jwks(settings.key_ring())) if remote is None else None,
        # Only the header with the processor's cookies: a bearer token is never an assertion.
        from_headers=[JwtHeader(name=COOKIES, value_prefix=f"{assertion_cookie(settings, name)}=")],
        payload_in_metadata=PAYLOAD,
        # Keep the header: if the assertion is not valid, the processor needs its other cookies.
        forward=True,
        jwt_cache_config=JwtCacheConfig(jwt_cache_size=_CACHED_ASSERTIONS),
        claim_to_headers=[
            *(
                JwtClaimToHeader(header_name=header, claim_name=header)
                for header in settings.identity_headers(name)
            ),
            JwtClaimToHeader(header_name=STREAM_DURATION, claim_name=LASTS),
        ],
    )
