"""What Envoy adds to an application's responses, and what it takes out of them."""

from envoy_data_plane.envoy.config.core.v3 import HeaderValueOption

from extproc.contract import CACHE_CONTROL, MORE_COOKIES, NAMESPACE, NO_STORE, SET_COOKIE
from extproc.envoyconfig.builders import ADD, IF_ABSENT, IF_PRESENT, header
from extproc.envoyconfig.filters.cors import ANSWERS, vary
from extproc.settings import Settings

# Cache-Control of protected pages about which the application says nothing. Without any, browsers
# show them again from the disk after a logout, and shared caches may keep them: the request has a
# cookie and no Authorization header (RFC 9111 section 3.5).
_UNSAID = {"no-cache": "private, no-cache", "no-store": "no-store", "off": ""}
# Headers that a shared cache obeys in place of Cache-Control, and what keeps a response out of it:
# RFC 9213 section 2 and its forms for single networks, the W3C's Edge Architecture, and those of
# Akamai, LiteSpeed and nginx, which reads a number of seconds and ignores every other value.
_TARGETED = {
    "cdn-cache-control": "no-store",
    "cloudflare-cdn-cache-control": "no-store",
    "netlify-cdn-cache-control": "no-store",
    "vercel-cdn-cache-control": "no-store",
    "akamai-cache-control": "no-store",
    "edge-control": "no-store",
    "surrogate-control": "no-store",
    "x-litespeed-cache-control": "no-store",
    "x-accel-expires": "0",
}
# With it a service worker of /wiki/ would see the requests to every application of the host, their
# authorization codes included, and answer them, also after the application is gone.
_WORKER_SCOPE = "service-worker-allowed"
# By `max-age=0` an application of /wiki/ would switch it off for the whole host. The gateway's own
# is added afterwards (virtual_hosts.py).
_HSTS = "strict-transport-security"


def added(settings: Settings, name: str, *, public: bool) -> list[HeaderValueOption]:
    """Headers that Envoy adds to the application's response. None of them replaces one of the
    application's, except those that only shared caches obey.

    With every cookie that the processor renews comes `private`; otherwise a shared cache would keep
    a user's assertion. It is added to what the application says: several values of Cache-Control
    are one list, of which the strictest directive counts (RFC 9111 section 4.2.1). A cache that
    obeys a header of its own in place of Cache-Control would not see it, so such a header becomes
    `no-store` there, and on every protected page.

    Args:
        settings: the settings of all applications.
        name: the application.
        public: the paths need no login.
    """
    if settings.applications[name].exclude:
        return []
    # Cookie sessions need more cookies: renewed tokens and, once a minute, the last use.
    keys = (SET_COOKIE, *MORE_COOKIES) if settings.store.kind == "cookie" else (SET_COOKIE,)
    headers = [
        *(header("set-cookie", f"%DYNAMIC_METADATA({NAMESPACE}:{key})%", ADD) for key in keys),
        header("cache-control", f"%DYNAMIC_METADATA({NAMESPACE}:{CACHE_CONTROL})%", ADD),
    ]
    unsaid = _UNSAID[settings.applications[name].cache_control]
    if unsaid and not public:
        headers.append(header("cache-control", unsaid, IF_ABSENT))
    if settings.applications[name].cors:
        headers.append(vary())
    # Envoy writes no empty value, so this changes nothing without a renewed cookie.
    renewed = f"%DYNAMIC_METADATA({NAMESPACE}:{NO_STORE})%"
    for targeted, kept_out in _TARGETED.items():
        value = kept_out if unsaid and not public else renewed
        headers.append(header(targeted, value, IF_PRESENT))
    return headers


def taken(settings: Settings, name: str) -> list[str]:
    """Headers that Envoy takes out of the application's responses: those about the whole host, of
    which the application has a part, and with `cors` what the application itself says about CORS.
    """
    application = settings.applications[name]
    headers = list(ANSWERS) if application.cors else []
    if application.path_prefix == "/":
        return headers
    return [*headers, _WORKER_SCOPE, *([_HSTS] if settings.gateway.hsts else [])]
