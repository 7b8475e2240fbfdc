"""Routes that refuse what a page of another origin sends (cross-site request forgery).

`SameSite=Lax` keeps the cookies of a user from the pages of other sites. A neighbouring host of the
same domain, and another port of the same host, belong to the same site: their pages send requests
with the user's cookies, and may read what comes over a WebSocket, for which CORS does not exist.
Browsers name the origin of the page in `Origin` and its relation in `Sec-Fetch-Site` (W3C Fetch
Metadata), and no page can write either of them.

The routes come before all others of an application, so they hold on the fast path and on public
paths too. A request without these headers is no browser's, or a navigation, and passes.
"""

import re
from collections.abc import Iterator

from envoy_data_plane.envoy.config.route.v3 import HeaderMatcher, Route, RouteMatch

from extproc.envoyconfig.builders import exact, regex
from extproc.envoyconfig.direct import direct
from extproc.settings import Settings
from extproc.settings.origins import own_origins

# The ends of the names of the routes.
FOREIGN = ("foreign-upgrade", "foreign-site", "foreign-origin", "null-origin")
_TEXT = "A page of another address may not do this here."
# Browsers have no WebSocket without Origin (RFC 6455 section 4.1), and HTTP/2's extended CONNECT
# (RFC 8441) has become an Upgrade by the time at which Envoy chooses a route.
_UPGRADE = HeaderMatcher(name="upgrade", present_match=True)
# RFC 9110 section 9.2.1; TRACE reaches no application.
_UNSAFE = HeaderMatcher(name=":method", string_match=regex("GET|HEAD|OPTIONS"), invert_match=True)
_OTHER_PAGE = HeaderMatcher(name="sec-fetch-site", string_match=regex("same-site|cross-site"))
_NO_OWN_PAGE = HeaderMatcher(
    name="sec-fetch-site",
    string_match=regex("same-origin|none"),
    invert_match=True,
    treat_missing_header_as_empty=True,
)
_NULL = HeaderMatcher(name="origin", string_match=exact("null"))


def foreign_pages(settings: Settings, name: str) -> Iterator[Route]:
    """403 for what pages of other origins send to an application, by its `csrf`."""
    application = settings.applications[name]
    if application.exclude or application.csrf == "off":
        return
    own = own_origins(settings.applications, name, settings.url(name))
    allowed = application.allowed_origins
    foreign = _is_none_of(*own, *allowed)
    yield _refused(settings, name, "foreign-upgrade", [_UPGRADE, foreign])
    if application.csrf == "websockets":
        return
    # The pages of two hosts of one application are of one site. With a single host, no page of its
    # own is of another origin, whatever Origin a redirect left.
    related = (*own, *allowed) if len(own) > 1 else allowed
    strangers = [_is_none_of(*related, missing=True)] if related else []
    yield _refused(settings, name, "foreign-site", [_UNSAFE, _OTHER_PAGE, *strangers])
    foreign = _is_none_of(*own, *allowed, "null")
    yield _refused(settings, name, "foreign-origin", [_UNSAFE, foreign])
    # Pages with `Referrer-Policy: no-referrer` send Origin: null to their own origin as well.
    yield _refused(settings, name, "null-origin", [_UNSAFE, _NULL, _NO_OWN_PAGE])


def _is_none_of(*origins: str, missing: bool = False) -> HeaderMatcher:
    """Matches a request whose Origin is another one; with `missing` also one without Origin."""
    pattern = "|".join(re.escape(each) for each in origins)
    return HeaderMatcher(
        name="origin",
        string_match=regex(pattern),
        invert_match=True,
        treat_missing_header_as_empty=missing,
    )


def _refused(settings: Settings, name: str, rule: str, headers: list[HeaderMatcher]) -> Route:
    match = RouteMatch(prefix=settings.applications[name].path_prefix, headers=headers)
    return direct(f"{name}:{rule}", match, 403, _TEXT)
