"""`cors`: lets scripts of other origins read an application's answers, by the application's `cors`.

CORS is part of the Fetch standard (sections 3.3 and 4.8). A browser asks in a preflight whether a
page may send a request, without cookies, so no login could ever let it through. The filter is the
first of all: it answers preflights of the listed origins itself, and adds
Access-Control-Allow-Origin to every other answer that they get, whether the application, the
processor or a later filter made it; otherwise a script could not read why it was refused.

It does nothing on routes with an answer of Envoy's own, so preflights of other origins are refused
there (preflights.py).
"""

from envoy_data_plane.envoy.config.core.v3 import HeaderValueOption
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import Cors as CorsFilter
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import CorsPolicy

from extproc.envoyconfig.builders import ADD, exact, header
from extproc.settings import Settings
from extproc.settings.cors import Cors

# What an application says about CORS would count beside `cors`, or against it.
ANSWERS = tuple(
    f"access-control-{name}"
    for name in (
        "allow-origin",
        "allow-credentials",
        "allow-methods",
        "allow-headers",
        "allow-private-network",
        "expose-headers",
        "max-age",
    )
)


def cross_origin(settings: Settings) -> bool:
    """Whether any application has pages of other origins that may read its answers."""
    return any(application.cors for application in settings.applications.values())


def cors() -> CorsFilter:
    """The filter, which does nothing on routes without a policy."""
    return CorsFilter()


def policy(allowed: Cors) -> CorsPolicy:
    """The filter's configuration on the routes of an application."""
    return CorsPolicy(
        # "*" matches every origin. Envoy answers with the request's own in any case.
        allow_origin_string_match=[exact(each) for each in allowed.origins],
        allow_methods=", ".join(allowed.methods),
        allow_headers=", ".join(allowed.headers),
        expose_headers=", ".join(allowed.expose),
        allow_credentials=allowed.credentials,
        max_age=str(int(allowed.max_age)),
        forward_not_matching_preflights=False,
    )


def vary() -> HeaderValueOption:
    """Vary: Origin, because a cache may give an answer to another page than the one that got it
    (Fetch standard section 3.3.5).
    """
    return header("vary", "Origin", ADD)
