"""User navigations: whether a person made a request, by what the browser reports about it (W3C
Fetch Metadata, and Sec-Purpose of the Fetch standard).

A page can make its reader's browser GET any address, with cookies and without a click: by a
picture, a style sheet, a frame or a prefetch. So everything that changes something asks here first.
The first row that fits counts; "Sec-Fetch-" is left out of the names:

    headers of the request                                  user navigation   certain
    ------------------------------------------------------  ----------------  -------------------
    Sec-Purpose or Purpose with any value; Upgrade          no                no
    a method other than GET and POST                        no                no
    Dest neither document nor empty: iframe, frame, embed,
      object, fencedframe, image, style, script, ...        no                no
    Mode navigate, Dest document                            yes               Site is same-origin
                                                                              or none
    Mode navigate, Dest empty or absent                     yes               no
    any other Mode; Dest without Mode                       no                no
    neither, and GET: a header of a script, a preflight     no                no
    neither, and GET: Accept contains text/html             yes               no
    neither, and GET: Accept is absent or begins with */*   if explicit       no
    any other request                                       no                no

Mode navigate with Dest empty is sent when an application's service worker fetches a page, or a
frame, for the browser; nothing else can set that Mode. Such a request may start a login, because
otherwise no user of the worker could sign in. It is not certain to be the user's own, so it ends
nothing. Headers of scripts are X-Requested-With: XMLHttpRequest, and OF_SCRIPTS in http.py; the web
view of an app sends X-Requested-With with the app's name on each navigation. Clients without
Sec-Fetch headers are old, or use plain http on another host than loopback, for which browsers omit
them.
"""

from extproc.core.http import OF_SCRIPTS, Request

_PAGES = ("document", "empty", "")
_FRAMES = ("iframe", "frame", "empty", "")


def is_user_navigation(request: Request, *, explicit: bool = False, certain: bool = False) -> bool:
    """Whether a person made this very request: a top-level navigation that is no prefetch.

    Args:
        request: the request.
        explicit: the request names an endpoint of the processor, so a client without Fetch Metadata
            need not accept HTML.
        certain: the request ends something, so the browser has to report that a link of the
            application's own page, or an address that the user typed, led to it.
    """
    if request.method not in ("GET", "POST") or is_prefetch(request) or request.header("upgrade"):
        return False
    mode, dest = request.header("sec-fetch-mode"), request.header("sec-fetch-dest")
    if certain:
        return (mode, dest) == ("navigate", "document") and request.header("sec-fetch-site") in (
            "same-origin",
            "none",
        )
    if mode or dest:
        return mode == "navigate" and dest in _PAGES
    return _looks_like_one(request, explicit=explicit)


def is_prefetch(request: Request) -> bool:
    """Whether the browser makes the request ahead of time (prefetch, prerender, in any spelling),
    so that the user may never see the response.

    Only an error makes the browser repeat the request when the user opens the page: Chromium shows
    a prefetched 200 even with `no-store`, and treats 204 as a link without a target.
    """
    return bool(request.header("sec-purpose") or request.header("purpose"))


def is_framed(request: Request) -> bool:
    """Whether the request can be for a frame on another page, such as a provider's front-channel
    logout; true if the browser does not report what the request is for.
    """
    if is_prefetch(request):
        return False
    mode, dest = request.header("sec-fetch-mode"), request.header("sec-fetch-dest")
    if mode or dest:
        return mode == "navigate" and dest in _FRAMES
    return _looks_like_one(request, explicit=True)


def is_report(request: Request) -> bool:
    """Whether a browser makes the POST by itself in addition to another request: the ping of a
    link, or a report about a page.
    """
    return (
        request.header("content-type").lower().startswith("text/ping")
        or request.header("sec-fetch-dest") == "report"
    )


def is_script(request: Request) -> bool:
    """Whether a script of a page makes the request, by a header that its library sets."""
    return "xmlhttprequest" in request.header("x-requested-with").lower() or any(
        name in OF_SCRIPTS for name, _ in request.headers
    )


def _looks_like_one(request: Request, *, explicit: bool) -> bool:
    """Whether a request without Fetch Metadata looks like a navigation."""
    if (
        request.method != "GET"
        or is_script(request)
        or request.header("access-control-request-method")
    ):
        return False
    accept = request.header("accept").strip().lower()
    return "text/html" in accept or (explicit and (not accept or accept.startswith("*/*")))
