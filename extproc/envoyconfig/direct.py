"""Routes with an answer of Envoy's own: refusals, and the redirect to the slash of a prefix.

A route that is no application's has a name that begins with a colon, as no application's name does.

The processor is not called on them.
"""

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from envoy_data_plane.envoy.config.route.v3 import (
    Decorator,
    DirectResponseAction,
    HeaderMatcher,
    RedirectAction,
    RedirectActionRedirectResponseCode,
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
from extproc.envoyconfig.builders import header, pack, regex, text
from extproc.envoyconfig.filters.chain import DECIDE, GATE, LIMIT
from extproc.envoyconfig.filters.local_ratelimit import unlimited
from extproc.envoyconfig.sharing import overlaps
from extproc.settings import Settings

# The name of the virtual host of hosts that no application lists, and of its route.
UNLISTED = ":unlisted"
# Matches "*" of OPTIONS too, which the prefix / does not.
EVERYTHING = RouteMatch(safe_regex=RegexMatcher(regex=".*"))
# Methods whose redirect browsers may keep, and follow by the same method.
SAFE = HeaderMatcher(name=":method", string_match=regex("GET|HEAD"))
# RFC 9110 section 15.5.6 asks for a list; an application may take more.
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# The only method that EVERYTHING does not match.
CONNECT = RouteMatch(connect_matcher=RouteMatchConnectMatcher())


def unasked() -> dict[str, Any]:
    """The filter configuration of a route on which the processor is not called."""
    return {
        LIMIT: unlimited(),
        DECIDE: pack(ExtProcPerRoute(disabled=True)),
        GATE: pack(RbacPerRoute()),
    }


def direct(name: str, match: RouteMatch, status: int, body: str) -> Route:
    """A route with an answer of Envoy's own.

    Args:
        name: the route's name, and the name of its span.
        match: the requests that it takes.
        status: the status of the answer.
        body: the text of the answer, for the user.
    """
    return Route(
        name=name,
        match=match,
        direct_response=DirectResponseAction(status=status, body=text(body)),
        typed_per_filter_config=unasked(),
        decorator=Decorator(operation=name, propagate=False),
    )


def no_trace() -> Route:
    """405 for TRACE and TRACK (RFC 9110 section 9.3.8): a server that answers them shows the client
    the headers that Envoy added, identity and access token among them.
    """
    method = HeaderMatcher(name=":method", string_match=regex("(?i)TRAC[EK]"))
    match = RouteMatch(safe_regex=EVERYTHING.safe_regex, headers=[method])
    route = direct(":no-trace", match, 405, "This method is not accepted here.")
    route.response_headers_to_add = [header("allow", _METHODS)]
    return route


def odd_host() -> Route:
    """400 for a Host that is not a host with an optional port.

    Envoy chooses the virtual host by the part before a colon, and the application gets the whole.
    """
    authority = HeaderMatcher(
        name=":authority", string_match=regex(regexes.AUTHORITY), invert_match=True
    )
    match = RouteMatch(safe_regex=EVERYTHING.safe_regex, headers=[authority])
    return direct(":odd-host", match, 400, "This is no host name with a port.")


def unlisted() -> Iterator[Route]:
    """421 (RFC 9110 section 15.5.20) for hosts that no application lists."""
    yield no_trace()
    for name, match in ((UNLISTED, EVERYTHING), (f"{UNLISTED}:connect", CONNECT)):
        yield direct(name, match, 421, "This gateway does not serve that host.")


def slash(settings: Settings, name: str) -> Iterator[Route]:
    """The redirects from /wiki to /wiki/: 301, and 308 where a 301 would make a GET of a POST.

    They lead to the application's own url, because the connection may have another scheme than the
    browser uses.
    """
    application = settings.applications[name]
    path = RouteMatch(path=application.path_prefix.rstrip("/"))
    yield _redirect(
        f"{name}:slash", RouteMatch(path=path.path, headers=[SAFE]), _slashed(settings, name)
    )
    kept = _slashed(settings, name)
    kept.response_code = RedirectActionRedirectResponseCode.PERMANENT_REDIRECT
    yield _redirect(f"{name}:slash:308", path, kept)


def _slashed(settings: Settings, name: str) -> RedirectAction:
    application = settings.applications[name]
    if application.exclude:
        return RedirectAction(path_redirect=application.path_prefix)
    url = urlsplit(settings.url(name))
    redirect = RedirectAction(
        scheme_redirect=url.scheme,
        host_redirect=bracketed(url.hostname or ""),
        path_redirect=url.path,
    )
    if url.port is not None:
        redirect.port_redirect = url.port
    return redirect


def _redirect(name: str, match: RouteMatch, redirect: RedirectAction) -> Route:
    return Route(
        name=name,
        match=match,
        redirect=redirect,
        typed_per_filter_config=unasked(),
        decorator=Decorator(operation=name, propagate=False),
    )


def rejects_dot_segments(settings: Settings, names: Sequence[str]) -> bool:
    """Whether all of the named applications do, so that one route is enough."""
    return all(settings.applications[name].dot_segments == "reject" for name in names)


def rejects_escaped_slashes(settings: Settings, names: Sequence[str]) -> bool:
    """Whether all of the named applications do, so that one route is enough."""
    return all(settings.applications[name].escaped_slashes == "reject" for name in names)


def dot_segments(name: str, path_prefix: str) -> Route:
    """400 for paths with a segment that an upstream may read as a dot segment.

    Envoy has resolved those that it reads as dot segments itself.
    """
    return _refused(
        name, spellings.dot_segments(path_prefix), "Dot segments are not accepted here."
    )


def escaped_slashes(name: str, path_prefix: str) -> Route:
    """400 for paths with an encoded slash or backslash."""
    return _refused(
        name, regexes.escaped_slashes(path_prefix), "Escaped slashes are not accepted here."
    )


def readings(settings: Settings, name: str, names: Sequence[str]) -> Iterator[Route]:
    """400 for paths that the upstream may read as a path of another application.

    That is another application on the same upstream, which asks more of a user.

    Args:
        settings: the settings of all applications.
        name: the application whose routes they are.
        names: the applications of the virtual host.
    """
    application = settings.applications[name]
    found = [each for each in overlaps(settings, names) if each.outer == name and each.segments]
    if application.upstream_paths == "exact" or not found:
        return
    body = "Another spelling of a path is not accepted here."
    if application.dot_segments == "keep":
        yield _refused(f"{name}:pieces", spellings.pieces(application.path_prefix), body)
    for each in found:
        pattern = spellings.readings(application.path_prefix, each.segments)
        yield _refused(f"{name}:reads-as:{each.inner}", pattern, body)


def _refused(name: str, pattern: str, body: str) -> Route:
    return direct(name, RouteMatch(safe_regex=RegexMatcher(regex=pattern)), 400, body)
