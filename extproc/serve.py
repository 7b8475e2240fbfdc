"""`extproc serve`: builds everything from Settings and runs it until SIGTERM or SIGINT."""

import asyncio
import logging
import os
import resource
import signal
import time
from collections.abc import Mapping
from functools import partial

import trio

from extproc import admin, telemetry
from extproc.addresses import Address
from extproc.bridge import Bridge, guest
from extproc.oidc.application import Application
from extproc.oidc.assertion import jwks
from extproc.oidc.client import Client
from extproc.oidc.errors import OIDCError
from extproc.oidc.seal import KeyRing
from extproc.provider import Provider
from extproc.relying_party import RelyingParty
from extproc.server import CannotListen, Listener, Server
from extproc.sessions import Sessions
from extproc.sessions.opening import open_sessions
from extproc.settings import Settings
from extproc.settings.store import shares_tombstones
from extproc.traces import Recorder, TraceStore

__all__ = ["CannotListen", "run"]


def key_ring(settings: Settings) -> KeyRing:
    return KeyRing.of([secret.get_secret_value().encode() for secret in settings.ring()])


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
            assertion_lifetime=int(settings.identity.assertion_lifetime),
            session_lifetime=int(settings.session.lifetime),
            session_idle=int(settings.session.idle),
        )
        for name, application in settings.applications.items()
        if application.provider is not None
    }


def _client(settings: Settings, name: str, url: str) -> Client:
    provider = settings.providers[name]
    secret = provider.secret()
    return Client(
        issuer=provider.issuer,
        client_id=provider.client_id,
        redirect_uri=f"{url}oauth2/callback",
        auth_method=provider.auth_method,
        client_secret=secret.get_secret_value() if secret is not None else None,
        scope=" ".join(provider.scopes),
        id_token_signed_response_alg=provider.id_token_signed_response_alg,
        clock_skew=settings.timeouts.clock_skew,
    )


def run(settings: Settings) -> None:
    """Runs until a signal. Raises OIDCError (the store) and CannotListen, for the command line to print."""
    telemetry.set_up_logging(settings.log.level, settings.log.format)
    _allow_descriptors()
    traces = TraceStore()
    standard = any(
        os.environ.get(name) for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    )
    tracing = telemetry.set_up_tracing([Recorder(traces)], settings.tracing.endpoint, standard=standard)
    sessions = open_sessions(settings.store)
    if not shares_tombstones(settings.store):
        telemetry.log(
            logging.WARNING, "tombstones_not_shared", detail="store.tombstones is not set, see docs/sessions.md"
        )
    try:
        guest(partial(_serve, settings, sessions, traces))
    finally:
        tracing.shutdown()


def _allow_descriptors() -> None:
    """As many file descriptors as this process may have: each held login has a connection, and the usual 1,024 are for
    programs that use select()."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _serve(settings: Settings, sessions: Sessions, traces: TraceStore, bridge: Bridge) -> None:
    ring = key_ring(settings)
    known = applications(settings, ring)
    providers = {
        name: Provider(name, provider, settings.timeouts, settings.limits)
        for name, provider in settings.providers.items()
    }
    by_application = {name: providers[str(settings.applications[name].provider)] for name in known}
    party = RelyingParty(known, by_application, sessions, trusted_hops=settings.gateway.trusted_hops)
    server = Server(party, bridge, settings.timeouts, settings.limits)
    listener = Listener(server, settings.listen)
    over = trio.Event()
    bridge.spawn(sessions.start)
    await _start_admin(settings, providers, sessions, server, jwks(ring), traces, bridge, over)
    warm = [trio.CancelScope() for _ in providers]
    for scope, provider in zip(warm, providers.values(), strict=True):
        bridge.spawn(partial(_within, scope, provider))
    await listener.start()
    telemetry.log(
        logging.INFO, "serving", listen=str(settings.listen), admin=str(settings.admin), applications=", ".join(known)
    )
    await _signalled()
    telemetry.log(logging.INFO, "draining", seconds=settings.timeouts.drain)
    started = time.monotonic()
    await listener.drain(settings.timeouts.drain)

    async def close() -> None:
        over.set()
        for scope in warm:
            scope.cancel()
        # what goes on after its client has left, a code exchange, may finish as well
        with trio.move_on_after(max(0.5, started + settings.timeouts.drain - time.monotonic())):
            while any(server.lanes.held(kind) for kind in ("callback", "logout")):  # noqa: ASYNC110 - once in a life
                await trio.sleep(0.02)
        for provider in providers.values():
            await provider.aclose()
        await sessions.aclose()

    await bridge.run(close)
    telemetry.log(logging.INFO, "stopped")


async def _within(scope: trio.CancelScope, provider: Provider) -> None:
    with scope:
        await provider.keep_warm()


async def _start_admin(
    settings: Settings,
    providers: Mapping[str, Provider],
    sessions: Sessions,
    server: Server,
    keys: str,
    traces: TraceStore,
    bridge: Bridge,
    over: trio.Event,
) -> None:
    """The admin listener, in trio. Raises CannotListen."""

    loop = asyncio.get_running_loop()
    app = admin.application(
        readiness=partial(_readiness, providers, sessions),
        jwks=keys,
        traces=traces,
        gauges=partial(_gauges, server, bridge, loop),
    )
    ready: asyncio.Future[None] = loop.create_future()

    def bound(_: Address) -> None:
        ready.set_result(None)

    async def work() -> None:
        try:
            await admin.serve(app, settings.admin, ready=bound, shutdown=over)
        except (OSError, OIDCError) as error:
            if not ready.done():
                ready.set_exception(
                    CannotListen(
                        f"admin: {settings.admin} cannot be bound: {getattr(error, 'strerror', None) or error}"
                    )
                )
            else:
                telemetry.log(logging.ERROR, "admin_failed", detail=type(error).__name__)

    bridge.spawn(work)
    await ready


def _readiness(providers: Mapping[str, Provider], sessions: Sessions) -> tuple[tuple[str, str], ...]:
    """What is not ready, as (part, reason)."""
    missing = (
        ("store", sessions.missing),
        *((f"provider {name}", provider.missing) for name, provider in providers.items()),
    )
    return tuple((part, reason) for part, reason in missing if reason is not None)


def _gauges(server: Server, bridge: Bridge, loop: asyncio.AbstractEventLoop) -> tuple[tuple[str, int], ...]:
    """What is in hand, in both lanes and on both sides. Asked in trio."""
    tasks = trio.lowlevel.current_statistics().tasks_living
    both = (("trio.tasks", tasks), ("asyncio.tasks", len(asyncio.all_tasks(loop))))
    return (*server.lanes.gauges(), ("work", bridge.busy), *both)


async def _signalled() -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    await told.wait()
