"""Settings that are allowed but seldom meant: a warning each."""

import resource
from collections.abc import Iterator
from urllib.parse import urlsplit

from extproc.addresses import Address, bracketed, is_loopback
from extproc.checks.findings import Finding, warning
from extproc.envoyconfig.clusters import STREAMS_PER_CONNECTION, processors
from extproc.envoyconfig.filters.jwt_authn import fast_path, key_servers
from extproc.envoyconfig.filters.local_ratelimit import limited
from extproc.envoyconfig.routes import hosts, served
from extproc.envoyconfig.sharing import Overlap, demands, overlap, same_upstream
from extproc.settings import ApplicationSettings, Settings

_RING = 3  # keys: the one before, the one now, the one to come
# file descriptors beside those of calls: Envoy's connections, kept ones, the store, the log
_SPARE = 200


def lint(settings: Settings, descriptors: int | None = None) -> list[Finding]:
    """A warning for each setting that is seldom meant.

    `descriptors`: how many file descriptors a process may open; by default the limit of this
    process.
    """
    available = (
        resource.getrlimit(resource.RLIMIT_NOFILE)[1] if descriptors is None else descriptors
    )
    return [
        *_providers(settings),
        *_addresses(settings),
        *_keys(settings),
        *_front(settings),
        *_applications(settings),
        *_sharing(settings),
        *_limits(settings),
        *_descriptors(settings, available),
        *_timeouts(settings),
    ]


def _providers(settings: Settings) -> Iterator[Finding]:
    """A provider behind the gateway that the gateway asks to sign in first: nobody could ever sign
    in.
    """
    for name, provider in settings.providers.items():
        served_by = serving(settings, provider.issuer)
        if served_by and not settings.applications[served_by].exclude:
            yield warning(
                f"providers.{name}.issuer",
                f"{provider.issuer} is served by this gateway's application {served_by}, "
                "which needs a login first",
                "give the provider an application of its own with exclude: true",
            )


def serving(settings: Settings, url: str) -> str | None:
    """The application that a URL reaches on this gateway: same port, one of its hosts, the longest
    path_prefix.
    """
    asked, gateway = urlsplit(url), urlsplit(settings.gateway.url)
    if _port(asked.scheme, asked.port) != _port(gateway.scheme, gateway.port):
        return None
    host = bracketed(asked.hostname or "")
    path = asked.path if asked.path.endswith("/") else asked.path + "/"
    found = [
        (host in application.hosts, len(application.path_prefix), name)
        for name, application in settings.applications.items()
        if _serves(application, host, gateway.hostname) and path.startswith(application.path_prefix)
    ]
    return max(found, key=lambda each: (each[1], each[0]))[2] if found else None


def _serves(application: ApplicationSettings, host: str, gateway: str | None) -> bool:
    return host in application.hosts or ("*" in application.hosts and host == gateway)


def _port(scheme: str, port: int | None) -> int:
    return port or {"https": 443}.get(scheme, 80)


def _addresses(settings: Settings) -> Iterator[Finding]:
    listeners: list[tuple[str, Address | None, str]] = [
        ("listen", settings.listen, "whoever reaches it can speak to the processor as Envoy does"),
        ("admin", settings.admin, "whoever reaches it sees traces and state"),
        (
            "gateway.admin",
            settings.gateway.admin,
            "whoever reaches it can stop Envoy and read its configuration",
        ),
        *[
            ("gateway.keys", place, "whoever answers in its place signs anybody in")
            for place in settings.gateway.keys
        ],
    ]
    for key, address, why in listeners:
        if address is not None and address.path is None and not is_loopback(address.host):
            yield warning(
                f"{key}",
                f"{address} is not on loopback, and {why}",
                "let only your own machines reach it",
            )
    for place in processors(settings):
        if place.path is not None and not place.path.startswith("/"):
            yield warning(
                "listen",
                f"{place} is a relative path, which Envoy takes from its own working directory",
                "begin it with /",
            )


def _keys(settings: Settings) -> Iterator[Finding]:
    if fast_path(settings) and not key_servers(settings):
        yield warning(
            "gateway.keys",
            "is not set, and gateway.processors is, so the keys of assertions stand in "
            "Envoy's configuration and a new secret needs a new one",
            "list the admin address of each machine",
        )
    if len(settings.ring()) > _RING:
        yield warning(
            "secret",
            f"the ring has {len(settings.ring())} keys",
            "leave out those that have not been the first for session.idle, and 2 h at least",
        )


def _front(settings: Settings) -> Iterator[Finding]:
    gateway = settings.gateway
    https = gateway.url.startswith("https://")
    if https and gateway.tls is None and gateway.trusted_hops == 0:
        shared = "share the limit of one address" if limited(settings) else "have one address"
        yield warning(
            "gateway.url",
            "begins with https://, but there is neither tls nor trusted_hops; applications "
            "are told X-Forwarded-Proto: http, and "
            f"all clients {shared}",
            "set tls, or trusted_hops to the number of proxies in front",
        )
    if gateway.hsts and not https:
        yield warning(
            "gateway.hsts",
            "is not sent, since gateway.url does not begin with https://",
            "leave it out, or have TLS",
        )
    if not https and not is_loopback(urlsplit(gateway.url).hostname or ""):
        yield warning(
            "gateway.url",
            f"{gateway.url} is plain http off loopback: sessions can be read, cookies "
            "planted on the way",
            "use https",
        )


def _applications(settings: Settings) -> Iterator[Finding]:
    for name, application in settings.applications.items():
        if application.path_prefix in application.public_paths:
            yield warning(
                f"applications.{name}.public_paths",
                f"{application.path_prefix} is all of it, so nobody ever has to sign in",
                "leave it out, or say exclude: true where that is meant",
            )


def _sharing(settings: Settings) -> Iterator[Finding]:
    """An upstream that two applications share may take a path of the one for a path of the other,
    which asks more of a user.
    """
    beside = [served(settings, host) for host in [*hosts(settings), "*"]]
    for name, one in settings.applications.items():
        for other, another in settings.applications.items():
            asks = demands(one, another)
            if name == other or not asks or not same_upstream(one, another):
                continue
            together = any(name in names and other in names for names in beside)
            if one.dot_segments == "keep" and (together or one.exclude):
                yield warning(
                    f"applications.{name}.dot_segments",
                    f"keeps what the upstream of {other}, {another.upstream}, may read as "
                    f"..: such a path may reach what {other} protects, without "
                    f"{' and '.join(asks)}",
                    "leave dot_segments out",
                )
            if (
                together
                and one.upstream_paths == "folds"
                and (found := overlap(settings, name, other))
            ):
                yield _overlapping(settings, found)
            elif not together and one.exclude and one.path_prefix == "/":
                yield warning(
                    f"applications.{name}",
                    f"is all of the upstream of {other} without its login, on another host",
                    f"give it an upstream of its own, or say the public_paths of {other}",
                )


def _overlapping(settings: Settings, found: Overlap) -> Finding:
    outer, inner = settings.applications[found.outer], settings.applications[found.inner]
    if not found.segments:
        return warning(
            f"applications.{found.outer}.path_prefix",
            f"an upstream that folds reads {outer.path_prefix} as {inner.path_prefix} of "
            f"{found.inner}, which also asks for {' and '.join(found.asks)}, and no refusal "
            "keeps the two apart",
            "give one of them another path or an upstream of its own, or set "
            "upstream_paths: exact where it does not fold",
        )
    what = (
        "is all of the upstream"
        if outer.path_prefix == "/"
        else f"has, from {outer.path_prefix} on, the upstream"
    )
    without = (
        " without its login"
        if outer.exclude
        else f", which also asks for {' and '.join(found.asks)}"
    )
    refused = (
        f"so whatever that upstream, {inner.upstream}, may read as {inner.path_prefix} is "
        "400 on its routes (another case, ;parameters, "
        "encoded, dots or blanks behind a name, doubled slashes)"
    )
    remedy = (
        f"give {found.inner} an upstream of its own, or set upstream_paths: exact where it "
        "reads paths as they are written"
    )
    if outer.exclude:
        refused += ", and the split is as good as that list"
        remedy = remedy.replace(", or", f", say its public_paths instead of {found.outer}, or")
    return warning(
        f"applications.{found.outer}", f"{what} of {found.inner}{without}, {refused}", f"{remedy}"
    )


def _limits(settings: Settings) -> Iterator[Finding]:
    limits = settings.limits
    lanes = (
        limits.callback,
        limits.login,
        limits.lookup,
        limits.refresh,
        limits.logout,
        limits.provider_logout,
    )
    held = sum(lanes)
    if held >= limits.streams:
        yield warning(
            "limits.streams",
            f"{limits.streams} leaves nothing beside callback, login, lookup, refresh and "
            f"both logouts, {held} together: when those lanes are full, everybody gets 503",
            f"raise it above {held}, or lower those",
        )
    if limits.per_provider > limits.callback:
        yield warning(
            "limits.per_provider",
            f"{limits.per_provider} is never reached, since limits.callback, "
            f"{limits.callback}, is for all providers",
            f"lower it to {limits.callback} or less",
        )
    elif limits.per_provider == limits.callback and len(settings.providers) > 1:
        yield warning(
            "limits.per_provider",
            f"is all of limits.callback, {limits.callback}, so one slow provider stops the "
            f"logins of the other {len(settings.providers) - 1}",
            f"lower it, to {limits.callback // 2} for example",
        )
    if limits.connects > limits.per_provider:
        yield warning(
            "limits.connects",
            f"{limits.connects} is more than limits.per_provider, {limits.per_provider}, "
            "lets through",
            "lower it",
        )


def _descriptors(settings: Settings, available: int) -> Iterator[Finding]:
    """A held callback has a connection to its provider, and so has whatever else waits for one."""
    limits = settings.limits
    callbacks = min(limits.callback, limits.per_provider * max(len(settings.providers), 1))
    needed = callbacks + limits.streams // STREAMS_PER_CONNECTION + _SPARE
    if available != resource.RLIM_INFINITY and needed > available:
        yield warning(
            "limits.callback",
            f"{callbacks} logins at once need about {needed} file descriptors, and this "
            f"process may have {available}",
            "raise that (ulimit -Hn, LimitNOFILE=), or lower limits.callback or "
            "limits.per_provider",
        )


def _timeouts(settings: Settings) -> Iterator[Finding]:
    timeouts = settings.timeouts
    if timeouts.drain < timeouts.longest_held:
        yield warning(
            "timeouts.drain",
            f"{timeouts.drain:g} s is less than a held request may take, "
            f"{timeouts.longest_held:g} s (timeouts.callback, twice timeouts.call): a "
            "restart cuts logins off",
            f"raise it to {timeouts.longest_held:g} s",
        )
    if timeouts.call > timeouts.callback:
        yield warning(
            "timeouts.call",
            f"{timeouts.call:g} s is more than a whole callback may take, "
            f"timeouts.callback: {timeouts.callback:g} s; a callback makes two calls one "
            "after the other",
            "lower it",
        )
    if timeouts.connect >= timeouts.call:
        yield warning(
            "timeouts.connect",
            f"{timeouts.connect:g} s leaves nothing of timeouts.call, {timeouts.call:g} s, "
            "for an answer",
            "lower it",
        )
