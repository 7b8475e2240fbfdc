"""Warns of applications that are open by mistake, or within reach of another one's routes."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from urllib.parse import urlsplit

from extproc.checks.findings import Finding, warning
from extproc.envoyconfig.sharing import Overlap, demands, overlap, paths_meet, same_upstream
from extproc.envoyconfig.virtual_hosts import hosts, served
from extproc.settings import Settings


def lint_applications(settings: Settings) -> Iterator[Finding]:
    """A warning for each application whose settings are seldom meant."""
    for name, application in settings.applications.items():
        if application.path_prefix in application.public_paths:
            yield warning(
                f"applications.{name}.public_paths",
                f"{application.path_prefix} is the whole application, so no user ever has to sign "
                "in",
                "remove it, or set exclude: true if that is meant",
            )
        yield from _foreign_pages(settings, name)
        yield from _reading_pages(settings, name)
    yield from _one_origin(settings)
    yield from _sharing(settings)


def _foreign_pages(settings: Settings, name: str) -> Iterator[Finding]:
    application = settings.applications[name]
    if application.csrf == "off" and not application.exclude:
        yield warning(
            f"applications.{name}.csrf",
            "is off: pages of a neighbouring host or port open WebSockets as the user, and read "
            "what comes over them, unless the application looks at Origin",
            "list the origins of the pages that may in allowed_origins instead",
        )
    for allowed in application.allowed_origins:
        if allowed.startswith("http://") and settings.url(name).startswith("https://"):
            yield warning(
                f"applications.{name}.allowed_origins",
                f"{allowed} is plain http: whoever is on the way to it can write its pages, and "
                "send requests as the user",
                "use https there",
            )


def _reading_pages(settings: Settings, name: str) -> Iterator[Finding]:
    """Warnings of `cors` with credentials: pages that others can write, and pages that have no
    cookies to send.
    """
    cors, url = settings.applications[name].cors, settings.url(name)
    if cors is None or not cors.credentials:
        return
    for each in cors.origins:
        if each.startswith("http://") and url.startswith("https://"):
            yield warning(
                f"applications.{name}.cors.origins",
                f"{each} is plain http: whoever is on the way to it can write its pages, and read "
                "what the user may read",
                "use https there",
            )
        if _other_site(each, url):
            yield warning(
                f"applications.{name}.cors.credentials",
                f"pages of {each} are of another site than {url}, so browsers send none of the "
                "user's cookies (SameSite=Lax) with their requests, which are answered 401",
                "give both names below one domain",
            )


def _other_site(one: str, other: str) -> bool:
    """Whether two addresses are certainly of different sites. A site has at least the last two
    labels of a name (the registrable domain, by the Public Suffix List), and an IP address is one.
    """
    hosts = [urlsplit(each).hostname or "" for each in (one, other)]
    if any(":" in host or host.rpartition(".")[2].isdigit() for host in hosts):
        return hosts[0] != hosts[1]
    return hosts[0].split(".")[-2:] != hosts[1].split(".")[-2:]


def _one_origin(settings: Settings) -> Iterator[Finding]:
    """Applications on one host that ask different things of a user. To a browser they are one:
    scripts of each act as the others' users, and a service worker of the one with the shortest
    path_prefix sees the others' requests, authorization codes included, even after it is gone.
    """
    together: dict[tuple[str, ...], list[str]] = {}
    for host in dict.fromkeys(
        host for name in settings.protected for host in settings.applications[name].hosts
    ):
        names = tuple(n for n in settings.protected if host in settings.applications[n].hosts)
        together.setdefault(names, []).append(host)
    for names, on in together.items():
        differing, asks = _differing(settings, names)
        if asks:
            *others, last = differing
            differ = "which differs" if len(others) == 1 else "which differ"
            yield warning(
                f"applications.{last}.hosts",
                f"is on {' and '.join(on)} with {', '.join(others)}, {differ} in "
                f"{' and '.join(asks)}: browsers keep applications of one host apart in nothing, "
                "and a service worker of one may answer for another, even after its application "
                "is gone",
                "give each a host of its own",
            )


def _differing(settings: Settings, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which of these applications ask something different than another, and in what they differ."""
    differing: set[str] = set()
    asks: set[str] = set()
    for name, other in combinations(names, 2):
        one, another = settings.applications[name], settings.applications[other]
        found = {*demands(one, another), *demands(another, one)}
        if found:
            differing |= {name, other}
            asks |= found
    return [name for name in names if name in differing], sorted(asks)


def _sharing(settings: Settings) -> Iterator[Finding]:
    """Pairs of applications on one upstream, of which the second asks more of a user.

    The upstream may read a path of the first application as a path of the second.
    """
    hosted_together = [served(settings, host) for host in [*hosts(settings), "*"]]
    for name in settings.applications:
        for other in settings.applications:
            if name != other:
                together = any(name in names and other in names for names in hosted_together)
                yield from _pair(settings, name, other, together=together)


def _pair(settings: Settings, name: str, other: str, *, together: bool) -> Iterator[Finding]:
    """Warnings that paths of one application may reach the other.

    Args:
        settings: the settings of both.
        name: the application that asks less of a user.
        other: the application that asks more.
        together: they share a host.
    """
    one, another = settings.applications[name], settings.applications[other]
    asks = demands(one, another)
    if not asks or not same_upstream(one, another):
        return
    if one.dot_segments == "keep" and (together or one.exclude):
        yield warning(
            f"applications.{name}.dot_segments",
            f"keeps what {another.upstream}, the upstream of {other}, may read as ..: such a path "
            f"may reach what {other} protects, without {' and '.join(asks)}",
            "remove dot_segments",
        )
    found = overlap(settings, name, other)
    if together and one.upstream_paths == "folds" and found is not None:
        yield _overlapping(settings, found)
    elif not together and one.exclude and one.path_prefix == "/":
        yield warning(
            f"applications.{name}",
            f"is all of the upstream of {other} without its login, on another host",
            f"give it an upstream of its own, or use public_paths of {other} instead",
        )
    elif not together and not one.exclude:
        yield from _by_another_host(settings, name, other)


def _by_another_host(settings: Settings, name: str, other: str) -> Iterator[Finding]:
    """A warning that users whom `other` refuses reach its paths by the host of `name`."""
    one, another = settings.applications[name], settings.applications[other]
    kept = [
        key
        for key in ("allow", "rules")
        if getattr(another, key) and getattr(another, key) != getattr(one, key)
    ]
    if kept and paths_meet(one, another):
        yield warning(
            f"applications.{name}.{kept[0]}",
            f"leads to the upstream of {other}, on another host, by other {' and '.join(kept)}: "
            f"users whom {other} refuses may reach its pages here, unless {another.upstream} tells "
            "the two hosts apart",
            f"give both the same {' and '.join(kept)}, or each an upstream of its own",
        )


def _overlapping(settings: Settings, found: Overlap) -> Finding:
    if not found.segments:
        return _inseparable(settings, found)
    if settings.applications[found.outer].exclude:
        return _split_of_open_application(settings, found)
    return warning(
        f"applications.{found.outer}",
        f"{_has_upstream(settings, found)}, which also asks for {' and '.join(found.asks)}, "
        f"{_refusals(settings, found)}",
        f"give {found.inner} an upstream of its own, or set upstream_paths: exact if it reads "
        "paths as they are written",
    )


def _inseparable(settings: Settings, found: Overlap) -> Finding:
    outer, inner = settings.applications[found.outer], settings.applications[found.inner]
    return warning(
        f"applications.{found.outer}.path_prefix",
        f"an upstream that folds reads {outer.path_prefix} as {inner.path_prefix} of "
        f"{found.inner}, which also asks for {' and '.join(found.asks)}, and no refusal can keep "
        "the two apart",
        "give one of them another path or an upstream of its own, or set upstream_paths: exact if "
        "it does not fold",
    )


def _split_of_open_application(settings: Settings, found: Overlap) -> Finding:
    return warning(
        f"applications.{found.outer}",
        f"{_has_upstream(settings, found)} without its login, {_refusals(settings, found)}; a path "
        "that this list misses reaches it without a login",
        f"give {found.inner} an upstream of its own, use its public_paths instead of "
        f"{found.outer}, or set upstream_paths: exact if it reads paths as they are written",
    )


def _has_upstream(settings: Settings, found: Overlap) -> str:
    prefix = settings.applications[found.outer].path_prefix
    if prefix == "/":
        return f"is all of the upstream of {found.inner}"
    return f"has, from {prefix} on, the upstream of {found.inner}"


def _refusals(settings: Settings, found: Overlap) -> str:
    inner = settings.applications[found.inner]
    return (
        f"so its routes answer 400 to paths that this upstream, {inner.upstream}, may read as "
        f"{inner.path_prefix} (another case, ;parameters, encoded characters, dots or spaces after "
        "a name, doubled slashes)"
    )
