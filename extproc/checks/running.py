"""Checks the parts that run: the store and the processor."""

import json
import re
from collections.abc import Iterator, Mapping

import httpx
import trio

from extproc.addresses import http_client, reachable
from extproc.checks.findings import Finding, error, ok, warning
from extproc.core.assertion import jwks
from extproc.core.errors import StoreUnavailable
from extproc.metrics.process import package_version
from extproc.sessions.factory import opened
from extproc.settings import CookieSettings, Settings
from extproc.settings.fingerprint import fingerprints

_PATIENCE = 5.0  # seconds for an answer of the processor's admin listener
_VERSION = re.compile(r'^extproc_build_info\{[^}]*version="([^"]*)"', re.MULTILINE)


def check_store(settings: Settings) -> Iterator[Finding]:
    """A finding about a store that is a server; store_file.py has the one that is a file."""
    store = settings.store
    if isinstance(store, CookieSettings):
        if store.tombstones is None:
            yield ok("store", "sessions are in cookies, without a store")
            return
        store = store.tombstones
    if store.kind == "sqlite":
        return
    problem = _store_problem(settings)
    if problem is None:
        yield ok("store", "reachable")
    else:
        yield error(
            "store",
            problem,
            "check that it runs and that this machine may connect to it: while it is unreachable, "
            "requests get 503",
        )


def _store_problem(settings: Settings) -> str | None:
    async def look() -> str | None:
        async with opened(settings.store) as sessions:
            return sessions.missing

    try:
        return trio.run(look)
    except StoreUnavailable as problem:
        return problem.detail


def check_processor(settings: Settings) -> Iterator[Finding]:
    """Findings about the running processor: ready, of these settings, their secret among them, and
    of this version.
    """
    try:
        with http_client(str(reachable(settings.admin)), _PATIENCE) as client:
            ready = client.get("/readyz")
            missing = _entries(ready.json().get("missing", []))
            keys = client.get("/.well-known/jwks.json").json()
            theirs = _fingerprints(client.get("/fingerprints"))
            version = _VERSION.search(client.get("/metrics").text)
    except (httpx.HTTPError, ValueError, AttributeError) as problem:
        what = (
            f"{settings.admin} does not answer as the processor's admin listener does "
            f"({type(problem).__name__})"
        )
        yield warning("admin", what, "start it with `extproc serve`, or look at its log")
        return
    yield from _missing_parts(missing)
    if keys != json.loads(jwks(settings.key_ring())):
        yield error(
            "secret",
            "the running processor has another secret than these settings",
            "restart it, or send it SIGHUP, so that it reads the settings again",
        )
    yield from _differing(settings, theirs)
    if version is not None:
        yield from _version(version[1])
    if ready.status_code == 200:
        yield ok("admin", "the processor is ready")


def _entries(missing: object) -> list[tuple[object, object]]:
    """The parts that are missing, each with its reason. Raises ValueError for any other answer."""
    if not isinstance(missing, list) or not all(isinstance(entry, dict) for entry in missing):
        raise ValueError("no list of missing parts")
    return [(entry.get("part"), entry.get("reason")) for entry in missing]


def _fingerprints(response: httpx.Response) -> dict[object, object] | None:
    """The fingerprint of each application; None for a processor of a version that has none.

    Raises ValueError for any other answer.
    """
    if response.status_code == 404:
        return None
    found = response.json()
    if not isinstance(found, dict):
        raise ValueError("no fingerprints")
    return found


def _differing(settings: Settings, theirs: Mapping[object, object] | None) -> Iterator[Finding]:
    """The applications that the running processor has other settings of."""
    if theirs is None:
        return
    own = fingerprints(settings)
    names = [name for name in own if own[name] != theirs.get(name)]
    gone = len(theirs.keys() - own.keys())
    if names or gone:
        what = f"other settings of {', '.join(names)}"
        if not names:
            what = "an application more" if gone == 1 else f"{gone} applications more"
        yield error(
            "applications",
            f"the running processor has {what}",
            "restart it, so that it reads the settings again, and Envoy with the configuration "
            "generated again (`extproc envoy`)",
        )


def _missing_parts(missing: list[tuple[object, object]]) -> Iterator[Finding]:
    for part, reason in missing:
        yield error(
            "admin",
            f"the running processor is not ready: {part}: {reason}",
            "see the findings about its providers and its store above, or its log",
        )


def _version(running: str) -> Iterator[Finding]:
    installed = package_version("extproc-oidc")
    if running != installed:
        yield warning(
            "admin",
            f"the running processor is version {running}, and this command is {installed}",
            "restart the processor, or use its own version of this command",
        )
