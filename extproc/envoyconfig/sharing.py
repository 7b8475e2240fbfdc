"""Applications that share hosts and an upstream, and ask different things of a user.

Such a split by path is as good as the upstream's reading of paths: what Envoy takes for a path of
the outer application may be one of the inner application there. What counts as asking more: a login
(exclude and public_paths), another provider, acr_values, max_age, prompt and authorization_params,
but those that only say how the provider's pages look. What does not: how long requests and streams
may last, and which identity headers the application gets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from extproc.settings import ApplicationSettings, Settings

_LOOKS = {"ui_locales", "claims_locales", "display"}  # OpenID Connect Core section 3.1.2.1
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Overlap:
    """The upstream may read a path on the routes of `outer` as one of `inner`, which asks these
    things more.

    segments: those of the inner prefix that follow the outer one; none where all of `outer` may be
    `inner` to the upstream.
    """

    outer: str
    inner: str
    segments: tuple[str, ...]
    asks: tuple[str, ...]


def overlaps(settings: Settings, names: Sequence[str]) -> list[Overlap]:
    """Among the applications of one virtual host, in their order."""
    return [
        found
        for one in names
        for other in names
        if (found := overlap(settings, one, other)) is not None
    ]


def overlap(settings: Settings, outer: str, inner: str) -> Overlap | None:
    """None where the upstreams differ, the inner application asks nothing more, or no folding leads
    there.

    /payroll/ around /payroll/static/ is what the settings say; /PAYROLL/static/ in /payroll/ is
    what an upstream may make of it.
    """
    one, other = settings.applications[outer], settings.applications[inner]
    if outer == inner or not same_upstream(one, other):
        return None
    around, within = folded(one.path_prefix), folded(other.path_prefix)
    asks = demands(one, other)
    if not asks or one.path_prefix.startswith(other.path_prefix) or not _meet(around, within):
        return None
    return Overlap(outer, inner, within[len(around) :], asks)


def folded(path: str) -> tuple[str, ...]:
    """Its segments as the upstream that folds most reads them; a path of the settings has neither
    `;` nor `%`.
    """
    return tuple(segment for each in path.split("/") if (segment := each.lower().rstrip(".")))


def same_upstream(one: ApplicationSettings, other: ApplicationSettings) -> bool:
    """By host and port, so that http and https to one port are one. Names that DNS makes one are
    not found.
    """
    return _address(one.upstream) == _address(other.upstream)


def _address(upstream: str) -> tuple[str, int]:
    parts = urlsplit(upstream)
    host = parts.hostname or ""
    return "localhost" if host in _LOOPBACK else host, parts.port or {"https": 443}.get(
        parts.scheme, 80
    )


def demands(outer: ApplicationSettings, inner: ApplicationSettings) -> tuple[str, ...]:
    """What the inner application asks of a user, and the outer one does not, in the words of the
    settings.
    """
    if inner.exclude:
        return ()
    if outer.exclude:
        return ("a login",)
    found = ["a login"] if _public(outer, inner) else []
    if inner.provider != outer.provider:
        found.append(f"the provider {inner.provider}")
    if inner.acr_values and not (
        outer.acr_values and set(outer.acr_values) <= set(inner.acr_values)
    ):
        found.append("acr_values")
    if inner.max_age is not None and (outer.max_age is None or outer.max_age > inner.max_age):
        found.append("max_age")
    if not set((inner.prompt or "").split()) <= set((outer.prompt or "").split()):
        found.append("prompt")
    if not _params(inner) <= _params(outer):
        found.append("authorization_params")
    return tuple(found)


def _public(outer: ApplicationSettings, inner: ApplicationSettings) -> bool:
    """Whether a public path of the outer application leads into the inner one."""
    within = folded(inner.path_prefix)
    return any(_meet(folded(path), within) for path in outer.public_paths)


def _meet(one: Sequence[str], other: Sequence[str]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _params(application: ApplicationSettings) -> set[tuple[str, str]]:
    return {each for each in application.authorization_params.items() if each[0] not in _LOOKS}
