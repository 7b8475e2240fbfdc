"""Answers of Envoy's own, for which nobody has to sign in: refusals, and the redirect to the slash
of a prefix.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.route.v3 import (
    Decorator,
    DirectResponseAction,
    HeaderMatcher,
    RedirectAction,
    Route,
    RouteMatch,
    RouteMatchConnectMatcher,
)
from envoy_data_plane.envoy.extensions.filters.http.ext_proc.v3 import ExtProcPerRoute
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import RbacPerRoute
from envoy_data_plane.envoy.type.matcher.v3 import RegexMatcher
from envoy_data_plane.google.protobuf import Any

from extproc.addresses import bracketed
from extproc.envoyconfig import regexes, spellings
from extproc.envoyconfig.builders import pack, regex, text
from extproc.envoyconfig.filters.chain import DECIDE, GATE, LIMIT
from extproc.envoyconfig.filters.local_ratelimit import unlimited
from extproc.envoyconfig.sharing import overlaps
from extproc.settings import Settings

# "*" of OPTIONS too, which the prefix / does not match
EVERYTHING = RouteMatch(safe_regex=RegexMatcher(regex=".*"))
# the one thing that EVERYTHING is not
CONNECT = RouteMatch(connect_matcher=RouteMatchConnectMatcher())


def unasked() -> dict[str, Any]:
    """What a route says to the filters where nobody decides."""
    return {
        LIMIT: unlimited(),
        DECIDE: pack(ExtProcPerRoute(disabled=True)),
        GATE: pack(RbacPerRoute()),
    }


def direct(name: str, match: RouteMatch, status: int, body: str) -> Route:
    return Route(
        name=name,
        match=match,
        direct_response=DirectResponseAction(status=status, body=text(body)),
        typed_per_filter_config=unasked(),
        decorator=Decorator(operation=name, propagate=False),
    )


def odd_host() -> Route:
    """400 for a Host that is no host with a port: Envoy chooses by what stands before a colon, and
    the application gets all of it.
    """
    header = HeaderMatcher(
        name=":authority", string_match=regex(regexes.AUTHORITY), invert_match=True
    )
    match = RouteMatch(safe_regex=EVERYTHING.safe_regex, headers=[header])
    return direct("odd-host", match, 400, "This is no host name with a port.")


def unlisted() -> Iterator[Route]:
    """421 (RFC 9110 section 15.5.20) for hosts that no application lists."""
    for name, match in (("unlisted", EVERYTHING), ("unlisted:connect", CONNECT)):
        yield direct(name, match, 421, "This gateway does not serve that host.")


def slash(settings: Settings, name: str) -> Route:
    """/wiki to /wiki/, on the application's own url: the connection's scheme may not be the
    browser's.
    """
    application = settings.applications[name]
    redirect = RedirectAction(path_redirect=application.path_prefix)
    if not application.exclude:
        url = urlsplit(settings.url(name))
        host = bracketed(url.hostname or "")
        redirect = RedirectAction(
            scheme_redirect=url.scheme, host_redirect=host, path_redirect=url.path
        )
        if url.port is not None:
            redirect.port_redirect = url.port
    return Route(
        name=f"{name}:slash",
        match=RouteMatch(path=application.path_prefix.rstrip("/")),
        redirect=redirect,
        typed_per_filter_config=unasked(),
        decorator=Decorator(operation=f"{name}:slash", propagate=False),
    )


def rejects_dot_segments(settings: Settings, names: Sequence[str]) -> bool:
    """Whether all of them do, so that one route is enough."""
    return all(settings.applications[name].dot_segments == "reject" for name in names)


def dot_segments(name: str, path_prefix: str) -> Route:
    """Whatever Envoy itself reads as a dot segment is gone by now."""
    return _refused(
        name, spellings.dot_segments(path_prefix), "Dot segments are not accepted here."
    )


def escaped_slashes(name: str, path_prefix: str) -> Route:
    return _refused(
        name, regexes.escaped_slashes(path_prefix), "Escaped slashes are not accepted here."
    )


def readings(settings: Settings, name: str, names: Sequence[str]) -> Iterator[Route]:
    """What the application's upstream may read as a path of another application there that asks
    more of a user.
    """
    application = settings.applications[name]
    found = [each for each in overlaps(settings, names) if each.outer == name and each.segments]
    if application.upstream_paths == "exact" or not found:
        return
    said = "Another spelling of a path is not accepted here."
    if application.dot_segments == "keep":
        yield _refused(f"{name}:pieces", spellings.pieces(application.path_prefix), said)
    for each in found:
        pattern = spellings.readings(application.path_prefix, each.segments)
        yield _refused(f"{name}:reads-as:{each.inner}", pattern, said)


def _refused(name: str, pattern: str, said: str) -> Route:
    return direct(name, RouteMatch(safe_regex=RegexMatcher(regex=pattern)), 400, said)
