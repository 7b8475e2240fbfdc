"""Applications that share hosts and an upstream, but ask different things of a user.

Such a split by path depends on how the upstream reads paths: a path that Envoy gives to the outer
application may be a path of the inner one there. An application asks more of a user by a login
(exclude, public_paths and preflight: pass), another provider, acr_values, max_age, prompt, and
authorization_params except those that only change how the provider's pages look. How long requests
and streams may last, and which identity headers the application gets, do not count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from extproc.settings import ApplicationSettings, Settings

_LOOKS = {"ui_locales", "claims_locales", "display"}  # OpenID Connect Core section 3.1.2.1


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two applications, of which the upstream may read a path of `outer` as a path of `inner`.

    `segments` are those of the inner prefix that follow the outer prefix; there are none where the
    upstream may read every path of `outer` as one of `inner`. `asks` is what `inner` asks of a user
    in addition, in the words of the settings.
    """

    outer: str
    inner: str
    segments: tuple[str, ...]
    asks: tuple[str, ...]


def overlaps(settings: Settings, names: Sequence[str]) -> list[Overlap]:
    """The overlaps among the applications of one virtual host, in their order."""
    pairs = [overlap(settings, outer, inner) for outer in names for inner in names]
    return [pair for pair in pairs if pair is not None]


def overlap(settings: Settings, outer: str, inner: str) -> Overlap | None:
    """The overlap of two applications.

    None where their upstreams differ, where the inner application asks nothing more, and where no
    other spelling of a path leads from one to the other. /payroll/static/ below /payroll/ is what
    the settings mean; /PAYROLL/static/, which Envoy does not give to it, is what an upstream may
    read as the same.
    """
    one, other = settings.applications[outer], settings.applications[inner]
    if outer == inner or not same_upstream(one, other):
        return None
    asks = (*demands(one, other), *_preflights(one, other))
    outer_segments, inner_segments = folded(one.path_prefix), folded(other.path_prefix)
    if not asks or one.path_prefix.startswith(other.path_prefix):
        return None
    if not _meet(outer_segments, inner_segments):
        return None
    return Overlap(outer, inner, inner_segments[len(outer_segments) :], asks)


def folded(path: str) -> tuple[str, ...]:
    """The segments of a path of the settings as an upstream reads them that folds as much as any.

    Such a path has neither `;` nor `%`.
    """
    segments = (segment.lower().rstrip(".") for segment in path.split("/"))
    return tuple(segment for segment in segments if segment)


def same_upstream(one: ApplicationSettings, other: ApplicationSettings) -> bool:
    """Whether two applications have the same upstream, by host and port.

    http and https to one port count as the same. Two names of one machine do not.
    """
    return one.upstream_address == other.upstream_address


def paths_meet(one: ApplicationSettings, other: ApplicationSettings) -> bool:
    """Whether an upstream of both may read a path of one application as a path of the other."""
    return _meet(folded(one.path_prefix), folded(other.path_prefix))


def demands(outer: ApplicationSettings, inner: ApplicationSettings) -> tuple[str, ...]:
    """What the inner application asks of a user and the outer one does not.

    The words are those of the settings.
    """
    if inner.exclude:
        return ()
    if outer.exclude:
        return ("a login",)
    asks = ["a login"] if _public(outer, inner) else []
    if inner.provider != outer.provider:
        asks.append(f"the provider {inner.provider}")
    if not _acr_implied(outer, inner):
        asks.append("acr_values")
    if inner.allow and inner.allow != outer.allow:
        asks.append("allow")
    if inner.rules:
        asks.append("rules")
    if inner.max_age is not None and (outer.max_age is None or outer.max_age > inner.max_age):
        asks.append("max_age")
    if not set((inner.prompt or "").split()) <= set((outer.prompt or "").split()):
        asks.append("prompt")
    if not _params(inner) <= _params(outer):
        asks.append("authorization_params")
    return tuple(asks)


def _preflights(outer: ApplicationSettings, inner: ApplicationSettings) -> tuple[str, ...]:
    """Whether preflights need no login at the outer application alone (`preflight: pass`)."""
    needs = outer.preflight == "pass" and not (inner.exclude or inner.preflight == "pass")
    return ("a login for preflights",) if needs else ()


def _acr_implied(outer: ApplicationSettings, inner: ApplicationSettings) -> bool:
    """Whether every login that is enough for the outer application is enough for the inner one."""
    if not inner.acr_values:
        return True
    return bool(outer.acr_values) and set(outer.acr_values) <= set(inner.acr_values)


def _public(outer: ApplicationSettings, inner: ApplicationSettings) -> bool:
    """Whether a public path of the outer application leads to a path of the inner one, or the path
    of a rule that lets anonymous requests pass.
    """
    within = folded(inner.path_prefix)
    anonymous = [
        path
        for rule in outer.rules
        if rule.login != "required" and rule.mode == "enforce"
        for path in rule.paths
    ]
    return any(_meet(folded(path), within) for path in (*outer.public_paths, *anonymous))


def _meet(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether one of two paths is at or below the other."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _params(application: ApplicationSettings) -> set[tuple[str, str]]:
    parameters = application.authorization_params.items()
    return {(name, value) for name, value in parameters if name not in _LOOKS}
