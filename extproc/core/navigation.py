"""Whether a person asked for this: what a browser says of how it came to make a request (W3C Fetch
Metadata, Fetch's Sec-Purpose).

A page can make its reader's browser GET any address, cookies and all, without a click: by a
picture, a style sheet, a frame, a prefetch. So whatever changes something asks here first. The
rows, the first that fits; Sec-Fetch- is left out of the names:

    what the request says                                        user navigation    certain
    -----------------------------------------------------------  -----------------
    ---------------------------
    Sec-Purpose or Purpose, whatever it is; Upgrade              no                 no
    a method other than GET and POST                             no                 no
    Dest neither document nor empty: iframe, frame, embed,
      object, fencedframe, image, style, script, ...             no                 no
    Mode navigate, Dest document                                 yes                Site is
    same-origin or none
    Mode navigate, Dest empty or absent                          yes                no
    any other Mode; no Mode but a Dest                           no                 no
    neither, and GET: X-Requested-With, a preflight              no                 no
    neither, and GET: Accept has text/html                       yes                no
    neither, and GET: Accept is absent or begins with */*        for our endpoints  no
    all else                                                     no                 no

Dest empty with Mode navigate is what an application's service worker makes of a page that it
fetches for the browser, and of a frame: nothing else can set that Mode. It may start a login, which
otherwise nobody with that worker could. It is not certain, so it ends nothing by itself. Clients
that say nothing are old, or are on plain http off loopback, where browsers leave all of it out.
"""

from extproc.core.http import Request

_PAGES = ("document", "empty", "")
_FRAMES = ("iframe", "frame", "empty", "")


def is_user_navigation(request: Request, *, explicit: bool = False, certain: bool = False) -> bool:
    """Whether a person asked for this very request: a top-level navigation that is not made ahead
    of time.

    explicit: an endpoint of ours is asked for by name, so a client without Fetch Metadata need not
    accept HTML. certain: it ends something, so the browser has to say that its own page's link, or
    a typed address, led there.
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
    """Whether the browser asks ahead of time (prefetch, prerender, in any spelling): nobody may
    ever see the answer.

    Only an error makes it ask again when the user comes: Chromium shows what it prefetched with
    200, `no-store` or not, and takes 204 for a link that leads nowhere.
    """
    return bool(request.header("sec-purpose") or request.header("purpose"))


def is_framed(request: Request) -> bool:
    """Whether it can be a frame on another page, as a provider's front-channel logout is; true
    where the browser does not say.
    """
    if is_prefetch(request):
        return False
    mode, dest = request.header("sec-fetch-mode"), request.header("sec-fetch-dest")
    if mode or dest:
        return mode == "navigate" and dest in _FRAMES
    return _looks_like_one(request, explicit=True)


def is_report(request: Request) -> bool:
    """Whether a browser POSTs it by itself beside something else: the ping of a link that leads
    elsewhere, a report on a page.
    """
    return (
        request.header("content-type").lower().startswith("text/ping")
        or request.header("sec-fetch-dest") == "report"
    )


def _looks_like_one(request: Request, *, explicit: bool) -> bool:
    """A client without Fetch Metadata."""
    if (
        request.method != "GET"
        or request.header("x-requested-with")
        or request.header("access-control-request-method")
    ):
        return False
    accept = request.header("accept").strip().lower()
    return "text/html" in accept or (explicit and (not accept or accept.startswith("*/*")))
