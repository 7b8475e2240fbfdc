"""CORS preflights (Fetch standard section 4.8) that Envoy's cors filter does not answer: which are
refused, and what counts as one that an application may get.

A browser sends a preflight without the user's cookies and without Authorization, before a page of
another origin may send certain requests. So a preflight has no identity, and starts no login.
"""

import re
from collections.abc import Iterator

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, Route, RouteMatch

from extproc.envoyconfig.builders import exact, regex
from extproc.envoyconfig.direct import direct
from extproc.settings import Settings

# The end of the name of the route.
FOREIGN_PREFLIGHT = "foreign-preflight"
_TEXT = "A page of another address may not do this here."
_METHOD = "access-control-request-method"
_OPTIONS = HeaderMatcher(name=":method", string_match=exact("OPTIONS"))
# Printable ASCII without a comma, by which Envoy joins the values of several headers.
_ONE = "[!-+.-~-]+"


def foreign_preflights(settings: Settings, name: str) -> Iterator[Route]:
    """403, without a CORS header, for preflights of origins that an application's `cors` does not
    list. Neither the processor nor the application gets them.
    """
    application = settings.applications[name]
    if application.cors is None or "*" in application.cors.origins:
        return
    listed = "|".join(re.escape(each) for each in application.cors.origins)
    other = HeaderMatcher(name="origin", string_match=regex(listed), invert_match=True)
    # As the cors filter knows a preflight, by any bytes but none; it would answer 200 with what
    # `cors` allows. Bytes that are not UTF-8 match no `.` in Envoy 1.36.
    asks = HeaderMatcher(name=_METHOD, string_match=regex("(?:)"), invert_match=True)
    match = RouteMatch(prefix=application.path_prefix, headers=[_OPTIONS, asks, other])
    yield direct(f"{name}:{FOREIGN_PREFLIGHT}", match, 403, _TEXT)


def bare(path_prefix: str) -> RouteMatch:
    """Matches what browsers send as a preflight, and nothing that could act as a user.

    A body without a length (chunked, or HTTP/2) does not show in the headers, so the route has a
    script that drops it (lua_cookies.py). An upgrade would be a connection without a login.
    """
    named = [HeaderMatcher(name=header, string_match=regex(_ONE)) for header in (_METHOD, "origin")]
    absent = [
        HeaderMatcher(name=header, present_match=True, invert_match=True)
        for header in ("cookie", "authorization", "upgrade")
    ]
    no_length = HeaderMatcher(
        name="content-length", string_match=regex("0?"), treat_missing_header_as_empty=True
    )
    return RouteMatch(prefix=path_prefix, headers=[_OPTIONS, *named, *absent, no_length])
