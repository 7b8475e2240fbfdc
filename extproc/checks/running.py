"""The parts that run: the store, the processor."""

import json
import re
from collections.abc import Iterator

import httpx
import trio

from extproc.addresses import reachable
from extproc.checks.findings import Finding, error, ok, warning
from extproc.core.assertion import jwks
from extproc.core.errors import StoreUnavailable
from extproc.metrics.process import package_version
from extproc.sessions.factory import opened
from extproc.settings import Settings

_VERSION = re.compile(r'^extproc_build_info\{[^}]*version="([^"]*)"', re.MULTILINE)
_PATIENCE = 5.0  # seconds for an answer of the processor's admin


def check_store(settings: Settings) -> Iterator[Finding]:
    """A file is left alone: it may be on another machine."""
    if settings.store.kind == "sqlite":
        return
    missing = _store_missing(settings)
    if missing is None:
        yield ok("store", "reachable")
    else:
        yield error(
            "store",
            missing,
            "see that it runs, and that this machine may connect to it: while it is away, "
            "requests get 503",
        )


def _store_missing(settings: Settings) -> str | None:
    async def look() -> str | None:
        async with opened(settings.store) as sessions:
            return sessions.missing

    try:
        return trio.run(look)
    except StoreUnavailable as problem:
        return problem.detail


def check_processor(settings: Settings) -> Iterator[Finding]:
    """By its admin listener, as the settings have it."""
    admin = f"http://{reachable(settings.admin)}"
    try:
        with httpx.Client(base_url=admin, trust_env=False, timeout=_PATIENCE) as client:
            ready, keys = client.get("/readyz"), client.get("/.well-known/jwks.json")
            missing = ready.json().get("missing", [])
            theirs = keys.json()
            version = _VERSION.search(client.get("/metrics").text)
    except (httpx.HTTPError, ValueError, AttributeError) as problem:
        what = (
            f"{settings.admin} does not answer as the processor's admin does "
            f"({type(problem).__name__})"
        )
        yield warning("admin", what, "start it with `extproc serve`, or look at its log")
        return
    for each in missing if isinstance(missing, list) else []:
        what = f"the running processor is not ready: {each.get('part')}: {each.get('reason')}"
        yield error(
            "admin",
            what,
            "what it says of its providers and its store above is why, or see its log",
        )
    if theirs != json.loads(jwks(settings.key_ring())):
        what = "the running processor has another secret than these settings"
        yield error(
            "secret", what, "restart it, or send it SIGHUP, so that it reads the settings again"
        )
    ours = package_version("extproc-oidc")
    if version is not None and version[1] != ours:
        yield warning(
            "admin",
            f"the running processor is version {version[1]}, and this is {ours}",
            "restart it, or use its own version",
        )
    if ready.status_code == 200:
        yield ok("admin", "the processor is ready")
