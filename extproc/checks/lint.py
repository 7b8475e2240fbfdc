"""Warns of settings that are allowed but seldom meant.

This module has the checks of addresses, keys, the gateway and providers; those of applications, of
their rules, of access tokens, of claims and of limits are in `lint_applications.py`,
`lint_access.py`, `lint_bearer.py`, `lint_claims.py` and `lint_limits.py`.
"""

import re
import resource
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from extproc.addresses import Address, bracketed, is_loopback
from extproc.checks.findings import Finding, warning
from extproc.checks.known_providers import known_provider
from extproc.checks.lint_access import lint_access
from extproc.checks.lint_applications import lint_applications
from extproc.checks.lint_bearer import lint_bearer
from extproc.checks.lint_claims import lint_claims
from extproc.checks.lint_limits import lint_limits
from extproc.envoyconfig.clusters import processors
from extproc.envoyconfig.filters.jwt_authn import fast_path, key_servers
from extproc.envoyconfig.filters.local_ratelimit import limited
from extproc.settings import ApplicationSettings, Settings

_VARIABLE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
# Keys in a ring while it rotates: the previous, the current, and the next one.
_KEYS_IN_RING = 3


def lint(settings: Settings, descriptors: int | None = None) -> list[Finding]:
    """A warning for each setting that is seldom meant, and how long lost claims live.

    Args:
        settings: valid settings.
        descriptors: how many file descriptors a process may open; by default the limit of this
            process.
    """
    if descriptors is None:
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return [
        *_variables(settings),
        *_providers(settings),
        *_addresses(settings),
        *_keys(settings),
        *_gateway(settings),
        *lint_applications(settings),
        *lint_access(settings),
        *lint_bearer(settings),
        *lint_claims(settings),
        *lint_limits(settings, descriptors),
    ]


def _variables(settings: Settings) -> Iterator[Finding]:
    """Values that look like environment variables, and are none for lack of braces."""
    for key in _keys_with_dollar(settings.model_dump(exclude_unset=True), ""):
        yield warning(
            key,
            "begins with $ and a name, and is taken as it stands",
            "write ${NAME}, with braces, for the environment variable of that name; ignore this if "
            "the value really begins so",
        )


def _keys_with_dollar(value: object, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _keys_with_dollar(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _keys_with_dollar(inner, f"{path}[{index}]")
    else:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if isinstance(text, str | Path) and _VARIABLE.match(str(text)):
            yield path


def _providers(settings: Settings) -> Iterator[Finding]:
    """A provider that cannot be used as it is set, or that is behind an application that needs a
    login: then no user can ever sign in.
    """
    for name, provider in settings.providers.items():
        yield from known_provider(name, provider)
        application = serving(settings, provider.issuer)
        if application and not settings.applications[application].exclude:
            yield warning(
                f"providers.{name}.issuer",
                f"{provider.issuer} is served by this gateway's application {application}, "
                "which needs a login first",
                "give the provider an application of its own with exclude: true",
            )


def serving(settings: Settings, url: str) -> str | None:
    """The application that a URL reaches on this gateway, or None.

    The URL has the gateway's port, one of the application's hosts, and the longest path_prefix.
    """
    asked, gateway = urlsplit(url), urlsplit(settings.gateway.url)
    if _port(asked.scheme, asked.port) != _port(gateway.scheme, gateway.port):
        return None
    host = bracketed(asked.hostname or "")
    path = asked.path if asked.path.endswith("/") else asked.path + "/"
    candidates = [
        (len(application.path_prefix), host in application.hosts, name)
        for name, application in settings.applications.items()
        if _serves(application, host, gateway.hostname) and path.startswith(application.path_prefix)
    ]
    if not candidates:
        return None
    _, _, name = max(candidates, key=lambda candidate: candidate[:2])
    return name


def _serves(application: ApplicationSettings, host: str, gateway: str | None) -> bool:
    return host in application.hosts or ("*" in application.hosts and host == gateway)


def _port(scheme: str, port: int | None) -> int:
    return port or {"https": 443}.get(scheme, 80)


def _addresses(settings: Settings) -> Iterator[Finding]:
    listeners: list[tuple[str, Address | None, str]] = [
        (
            "listen",
            settings.listen,
            "any machine that reaches it can call the processor as Envoy does",
        ),
        ("admin", settings.admin, "any machine that reaches it can read traces and state"),
        (
            "gateway.admin",
            settings.gateway.admin,
            "any machine that reaches it can stop Envoy and read its configuration",
        ),
        *(
            ("gateway.keys", address, "a machine that answers in its place can forge sign-ins")
            for address in settings.gateway.keys
        ),
    ]
    for key, address, risk in listeners:
        if address is not None and address.path is None and not is_loopback(address.host):
            yield warning(
                key, f"{address} is not on loopback, and {risk}", "let only your machines reach it"
            )
    yield from _sockets(settings)


def _sockets(settings: Settings) -> Iterator[Finding]:
    """What makes a unix socket another one than was meant."""
    sockets: dict[str, tuple[Address | None, ...]] = {
        "listen": processors(settings),
        "admin": (settings.admin,),
        "gateway.admin": (settings.gateway.admin,),
        "gateway.keys": settings.gateway.keys,
    }
    seen: set[Address] = set()
    for key, addresses in sockets.items():
        for address in addresses:
            if address is None or address.path is None or address in seen:
                continue
            seen.add(address)
            if not address.path.startswith("/"):
                yield warning(
                    key,
                    f"{address} is a relative path, which each program resolves in its own working "
                    "directory",
                    "begin it with /",
                )
            folder = Path(address.path).parent
            if folder.is_absolute() and _anyone_may_write(folder):
                yield warning(
                    key,
                    f"{address}: every user of this machine may write to {folder}, and could put a "
                    "socket of their own there before the right one is",
                    "use a directory of the processor's own, such as /run/extproc",
                )


def _anyone_may_write(folder: Path) -> bool:
    """Whether this machine has such a directory, with write access for every user."""
    try:
        return bool(folder.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return False


def _keys(settings: Settings) -> Iterator[Finding]:
    if fast_path(settings) and not key_servers(settings):
        yield warning(
            "gateway.keys",
            "is not set, and gateway.processors is, so Envoy's configuration contains the keys of "
            "assertions, and a new secret needs a new configuration",
            "list the admin address of each machine",
        )
    count = len(settings.ring())
    if count > _KEYS_IN_RING:
        yield warning(
            "secret",
            f"the ring has {count} keys",
            "remove those that have not been the first for session.idle, and for at least 2 h",
        )


def _gateway(settings: Settings) -> Iterator[Finding]:
    gateway = settings.gateway
    https = gateway.url.startswith("https://")
    if https and gateway.tls is None and gateway.trusted_hops == 0:
        shared = "share the limit of one address" if limited(settings) else "have one address"
        yield warning(
            "gateway.url",
            "begins with https://, but neither tls nor trusted_hops is set; applications get "
            f"X-Forwarded-Proto: http, and all clients {shared}",
            "set tls, or trusted_hops to the number of proxies in front",
        )
    if gateway.hsts and not https:
        yield warning(
            "gateway.hsts",
            "is not sent, because gateway.url does not begin with https://",
            "remove it, or use TLS",
        )
    if not https and not is_loopback(urlsplit(gateway.url).hostname or ""):
        yield warning(
            "gateway.url",
            f"{gateway.url} is plain http and not on loopback: on the way, sessions can be read, "
            "and cookies planted",
            "use https",
        )
