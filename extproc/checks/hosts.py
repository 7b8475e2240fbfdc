"""Checks the names and ports by which users reach the applications: whether they lead to Envoy."""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from extproc.addresses import is_loopback
from extproc.checks.findings import Finding, ok, skipped, warning
from extproc.settings import Settings

LookUp = Callable[..., Sequence[object]]

_AT_A_TIME = 16
# A name server that does not answer keeps each lookup for some 10 s.
_LOOKED_UP = 64


def check_hosts(settings: Settings, look_up: LookUp = socket.getaddrinfo) -> Iterator[Finding]:
    """A finding for each application with a host of which this machine's DNS knows no address.

    look_up: called in threads, as socket.getaddrinfo.
    """
    wanted = {name: _names(settings, name) for name in settings.applications}
    hosts = list(dict.fromkeys(host for names in wanted.values() for host in names))
    unknown = _without_address(hosts[:_LOOKED_UP], look_up)
    for name, names in wanted.items():
        missing = [host for host in names if host in unknown]
        if missing:
            verb = "has" if len(missing) == 1 else "have"
            yield warning(
                f"applications.{name}.hosts",
                f"{', '.join(missing)} {verb} no address, as far as this machine's DNS knows: "
                "browsers that ask the same DNS reach nothing",
                "correct the name, or add it to DNS or, for a trial, to /etc/hosts (if users have "
                "another DNS, ignore this)",
            )
    if hosts and not unknown:
        yield ok("applications", f"{_shown(hosts[:_LOOKED_UP])}: DNS has an address for each host")
    if len(hosts) > _LOOKED_UP:
        yield skipped(
            "applications",
            f"whether DNS knows the other {len(hosts) - _LOOKED_UP} hosts",
            "look them up with getent hosts NAME",
        )


def _names(settings: Settings, name: str) -> list[str]:
    """The names of an application that DNS has to know: those of its hosts and its URL."""
    application = settings.applications[name]
    hosts = [*application.hosts]
    if not application.exclude:
        hosts.append(urlsplit(settings.url(name)).hostname or "")
    return [host for host in dict.fromkeys(hosts) if host != "*" and _is_name(host)]


def _is_name(host: str) -> bool:
    """Whether DNS is asked for it: not for addresses, nor for names of the loopback (RFC 6761
    section 6.3), which browsers know themselves.
    """
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return True
    return False


def _without_address(hosts: Iterable[str], look_up: LookUp) -> frozenset[str]:
    def known(host: str) -> bool:
        try:
            return bool(look_up(host, None, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError):
            return False

    names = tuple(hosts)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return frozenset(
            host
            for host, is_known in zip(names, pool.map(known, names), strict=True)
            if not is_known
        )


def _shown(hosts: list[str]) -> str:
    first = ", ".join(hosts[:3])
    return first if len(hosts) <= 3 else f"{first} and {len(hosts) - 3} more"


def lint_hosts(settings: Settings) -> Iterator[Finding]:
    """A warning for each public address that leads to no listener of Envoy, as far as the settings
    show it. A proxy in front (trusted_hops) may lead from anywhere.
    """
    if settings.gateway.trusted_hops:
        return
    seen: set[str] = set()
    for name in settings.protected:
        url = settings.url(name)
        own = settings.applications[name].url is not None
        part = f"applications.{name}.url" if own else "gateway.url"
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}"
        if place in seen:
            continue
        seen.add(place)
        yield from _scheme(settings, part, place)
        yield from _place(settings, part, place)


def _scheme(settings: Settings, part: str, place: str) -> Iterator[Finding]:
    """An application's own url of another scheme than gateway.url."""
    scheme, gateway = urlsplit(place).scheme, urlsplit(settings.gateway.url).scheme
    if scheme == gateway:
        return
    what = "Envoy's listener speaks TLS" if settings.gateway.tls else f"gateway.url is {gateway}"
    yield warning(
        part,
        f"{place} begins with {scheme}://, and {what}: its logins come back to an address where "
        "nothing answers",
        f"write {gateway}://, or put a proxy in front and set gateway.trusted_hops",
    )


def _place(settings: Settings, part: str, place: str) -> Iterator[Finding]:
    """A URL that leads away from a listener on loopback. Another listener may be behind a port that
    is mapped, such as a container's.
    """
    listen, parts = settings.gateway.listen, urlsplit(place)
    if not is_loopback(listen.host) or (parts.scheme == "https" and not settings.gateway.tls):
        # lint.py warns of https that ends in front of Envoy.
        return
    port = parts.port or (443 if parts.scheme == "https" else 80)
    if port != listen.port and listen.port:
        yield warning(
            part,
            f"{place} leads to port {port}, and gateway.listen is {listen}: users reach another "
            "program, or none",
            "write the same port in both, or put a proxy in front and set gateway.trusted_hops",
        )
    elif not is_loopback(parts.hostname or ""):
        yield warning(
            part,
            f"{place} is for other machines, and gateway.listen, {listen}, is on loopback: Envoy "
            "answers this machine alone",
            f"set gateway.listen to 0.0.0.0:{port}, or put a proxy in front and set "
            "gateway.trusted_hops",
        )
