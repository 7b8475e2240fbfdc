"""A request that no person made changes nothing: every endpoint x every way in which a browser
comes to ask x site x method.

An endpoint that is not in ROWS fails a test, and so does each cell whose answer is another.
"""

import ast
import inspect
import itertools
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from harness.sources import parsed
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    NOW,
    application,
    cookie_header,
    pending,
    request,
    session,
)

from extproc.core import decide_endpoint, sessions_page
from extproc.core.decide import decide
from extproc.core.decisions import (
    Continue,
    EndListedSessions,
    EndSession,
    FrontChannelLogout,
    ListSessions,
    RedeemCode,
    Respond,
    StartLogin,
)
from extproc.core.errors import LoginRequired, Refusal
from extproc.core.http import OF_SCRIPTS, Request
from extproc.core.refusals import respond

APP = application()
ALICE = session(sid="s1")
ATTEMPT = pending(APP)
FORM = sessions_page.form_token(APP, ALICE, NOW, ENTROPY_BYTES)
TARGETS = {
    "callback": f"callback?code=c&state={ATTEMPT.state}",
    "frontchannel-logout": f"frontchannel-logout?iss={quote(ISSUER, safe='')}&sid=s1",
    "sessions": f"sessions?end=others&form={FORM}",
}
COOKIES = f"{cookie_header(APP, ATTEMPT)}; {APP.cookies.session}=x; {APP.cookies.assertion}=a.b.c"
HTML, ANYTHING = "text/html,*/*;q=0.8", "*/*"

# -- how a browser comes to ask. A way has several kinds of a request's head, all of which are
# answered alike.

PICTURES = ("image", "style", "script", "font", "video", "audio", "track", "manifest", "report", "xslt", "json",
            "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet", "webidentity", "speculationrules")  # fmt: skip
PREFETCH = ("prefetch", "Prefetch", "PREFETCH;PRERENDER", "prefetch;prerender", "prefetch; prerender", "prefetch;anonymous-client-ip",
            "prerender", "preview", "prefetch, prefetch")  # fmt: skip


def said(mode: str, dest: str, **more: str) -> dict[str, str]:
    return {"sec_fetch_mode": mode, "sec_fetch_dest": dest, **more}


WAYS: dict[str, list[dict[str, str]]] = {
    "document": [said("navigate", "document")],
    "worker": [said("navigate", "empty"), said("navigate", "empty", service_worker_navigation_preload="true")],
    "undirected": [said("navigate", "")],
    "old": [said("", "", accept=HTML), said("", "", accept=HTML, x_requested_with="com.example.browser")],
    "tool": [said("", "", accept=ANYTHING), said("", "", accept="")],
    "frame": [said("navigate", "iframe"), said("navigate", "frame")],
    "nested": [said("navigate", "embed"), said("navigate", "object"), said("navigate", "fencedframe")],
    "picture": [said(mode, dest) for mode in ("no-cors", "cors", "same-origin") for dest in PICTURES]
    + [said("navigate", dest) for dest in PICTURES]
    + [said("", dest) for dest in PICTURES],
    "script": [said(mode, "empty", accept=accept) for mode in ("cors", "no-cors", "same-origin") for accept in (HTML, ANYTHING)]
    + [said("cors", "empty", next_router_prefetch="1"), said("cors", "empty", next_router_prefetch="1", rsc="1")]
    + [said("websocket", "websocket", upgrade="websocket"), said("websocket", "empty"), said("webtransport", "webtransport")]
    + [said("navigate", "document", upgrade="websocket"), said("Navigate", "document"), said("navigate,navigate", "document")]
    + [said("cors", "document"), said("no-cors", "document"), said("", "empty"), said("cors", "")]
    + [said("", "", accept=HTML, x_requested_with=value) for value in ("XMLHttpRequest", "xmlhttprequest", "x,XMLHttpRequest")]
    + [said("", "", accept=accept, **{name.replace("-", "_"): "1"}) for name in OF_SCRIPTS for accept in (HTML, ANYTHING, "")],
    "old picture": [
        said("", "", accept=accept)
        for accept in ("image/avif,image/webp,*/*;q=0.8", "text/css,*/*;q=0.1", "application/json", "image/webp,*/*")
    ],
    "prefetch": [
        said(mode, dest, **{header: value})
        for mode, dest in (("navigate", "document"), ("navigate", "empty"), ("navigate", "iframe"), ("no-cors", "empty"),
                           ("cors", "empty"), ("", ""))
        for header in ("sec_purpose", "purpose")
        for value in PREFETCH
    ],
}  # fmt: skip
SITES = ("same-origin", "same-site", "cross-site", "none", "")
OWN = ("same-origin", "none")

# -- what each is answered. By GET; a way that is not named gets what `else` says, a way with a bar
# the second where the site is not our own.

ROWS: dict[tuple[str, bool], dict[str, str]] = {
    ("login", False): dict.fromkeys(("document", "worker", "undirected", "old", "tool"), "login") | {"else": "login_required"},
    ("login", True): dict.fromkeys(("document", "worker", "undirected", "old", "tool"), "already_signed_in") | {"else": "login_required"},
    ("callback", False): dict.fromkeys(("document", "worker", "undirected", "old", "tool"), "exchange") | {"else": "user_navigation_required"},
    ("callback", True): dict.fromkeys(("document", "worker", "undirected", "old", "tool"), "exchange") | {"else": "user_navigation_required"},
    ("logout", False): {"document": "end|logout_confirmation", "prefetch": "user_navigation_required", "else": "logout_confirmation"},
    ("logout", True): {"document": "end|logout_confirmation", "prefetch": "user_navigation_required", "else": "logout_confirmation"},
    ("frontchannel-logout", False): dict.fromkeys(("frame", "worker", "undirected", "old", "tool"), "front")
    | {"else": "invalid_logout_request"},
    ("frontchannel-logout", True): dict.fromkeys(("frame", "worker", "undirected", "old", "tool"), "front")
    | {"else": "invalid_logout_request"},
    ("sessions", False): dict.fromkeys(("document", "worker", "undirected", "old"), "login") | {"else": "login_required"},
    ("sessions", True): {"else": "shown"},
    ("signed-out", False): {"else": "signed_out_page"},
    ("signed-out", True): {"else": "signed_out_page"},
    ("userinfo", False): {"else": "login_required"},
    ("userinfo", True): {"else": "userinfo"},
}  # fmt: skip
BY_HEAD = {
    "login": "login_required",
    "sessions": "shown",
    "signed-out": "signed_out_page",
    "userinfo": "userinfo",
}
CHANGES = {
    "login": StartLogin,
    "exchange": RedeemCode,
    "end": EndSession,
    "front": FrontChannelLogout,
    "end own": EndListedSessions,
}


def cells(way: str) -> Iterator[tuple[dict[str, str], str]]:
    """Each head of a way, with each site that it can have."""
    for head in WAYS[way]:
        for site in SITES if head["sec_fetch_mode"] or head["sec_fetch_dest"] else ("",):
            yield head, site


def answered(asked: Request, signed_in: bool) -> str:
    """The step that changes something, by its name in CHANGES, or the reason of an answer, which
    touches no cookie then.
    """
    try:
        decision = decide(APP, asked, ALICE if signed_in else None, NOW)
    except Refusal as error:
        decision = respond(error, APP, asked)
    for name, kind in CHANGES.items():
        if isinstance(decision, kind):
            return name
    if isinstance(decision, ListSessions):
        return "shown"
    assert isinstance(decision, Respond | Continue), decision
    assert isinstance(decision, Continue) or decision.cookies == (), (
        f"a cookie of {decision.reason}"
    )
    return decision.reason


def asked(endpoint: str, method: str, head: dict[str, str], site: str, **more: str) -> Request:
    said = {"sec_fetch_site": site, "cookie": COOKIES, **head, **more}
    return request(f"/oauth2/{TARGETS.get(endpoint, endpoint)}", method=method, **said)


@pytest.mark.threat("unasked-request")
def test_every_endpoint_has_its_rows() -> None:
    """By the source, so that nobody adds an endpoint without saying here what it does to a request
    that no person made.
    """
    tree = parsed(inspect.getsource(decide_endpoint.decide_endpoint))
    names = {
        eval(compile(ast.Expression(case.value), "case", "eval"), vars(decide_endpoint))
        for case in ast.walk(tree)
        if isinstance(case, ast.MatchValue)
    }
    assert {endpoint for endpoint, _ in ROWS} == names
    assert set(itertools.product(names, (False, True))) == set(ROWS)
    assert all(set(row) - {"else"} <= set(WAYS) for row in ROWS.values())


@pytest.mark.attack("FLOW-12", "REDI-10", "WEB-19")
@pytest.mark.threat("unasked-request")
@pytest.mark.parametrize(("endpoint", "signed_in"), ROWS)
def test_a_get_that_no_person_made_changes_nothing(endpoint: str, signed_in: bool) -> None:
    row, wrong = ROWS[endpoint, signed_in], []
    for way in WAYS:
        ours, _, theirs = row.get(way, row["else"]).partition("|")
        for head, site in cells(way):
            expected = ours if not theirs or site in OWN else theirs
            if (got := answered(asked(endpoint, "GET", head, site), signed_in)) != expected:
                wrong.append(f"{head} from {site or 'nowhere'}: {got}, not {expected}")
    assert wrong == []


@pytest.mark.attack("WEB-19")
@pytest.mark.threat("unasked-request")
@pytest.mark.parametrize(("endpoint", "signed_in"), ROWS)
def test_a_head_changes_nothing_whoever_sends_it(endpoint: str, signed_in: bool) -> None:
    """No browser's navigation is a HEAD, and a client that has no body has no page for its user
    either.
    """
    expected = BY_HEAD.get(endpoint, "method_not_allowed")
    if not signed_in and endpoint in ("sessions", "userinfo"):
        expected = "login_required"
    for way in WAYS:
        for head, site in cells(way):
            assert answered(asked(endpoint, "HEAD", head, site), signed_in) == expected, (
                head,
                site,
            )


@pytest.mark.attack("WEB-11")
@pytest.mark.threat("unasked-request")
@pytest.mark.parametrize(("endpoint", "signed_in"), ROWS)
def test_a_post_changes_something_from_our_own_origin_alone(endpoint: str, signed_in: bool) -> None:
    """Whatever made it: a prefetch or a picture cannot, and a script of our own origin is the
    application itself.
    """
    changes = {"logout": "end", "sessions": "end own" if signed_in else "login_required"}
    for way in ("document", "worker", "old", "frame", "script"):
        for head, site in cells(way):
            for origin in (
                "https://app.example",
                "https://evil.example",
                "http://app.example",
                "null",
                "",
            ):
                got = answered(asked(endpoint, "POST", head, site, origin=origin), signed_in)
                own = site == "same-origin" if site else origin == "https://app.example"
                expected = "method_not_allowed"
                if endpoint in changes:
                    expected = changes[endpoint] if own else "cross_site_logout"
                elif endpoint == "signed-out":
                    expected = "signed_out_page"
                assert got == expected, (head, site, origin)
            for kind in (
                {"content_type": "text/ping"},
                {"content_type": "Text/PING;x"},
                {"sec_fetch_dest": "report"},
            ):
                if endpoint in changes:  # what a browser posts by itself beside something else
                    said = asked(endpoint, "POST", head | kind, site, origin="https://app.example")
                    assert answered(said, signed_in) == "cross_site_logout", (head, site, kind)


PAGES = dict.fromkeys(("document", "worker", "undirected", "old"), "login")


@pytest.mark.attack("REDI-10")
def test_a_page_of_the_application_starts_a_login_for_a_person_alone() -> None:
    """Case 3 of those from the wild among them: a page that the application's service worker
    fetches.
    """
    for way in WAYS:
        for head, site in cells(way):
            said = {"sec_fetch_site": site, "cookie": COOKIES, **head}
            assert answered(request("/wanted", **said), False) == PAGES.get(
                way, "login_required"
            ), said
            assert answered(request("/wanted", method="HEAD", **said), False) == "login_required", (
                said
            )
            assert answered(request("/wanted", public=True, **said), False) == "public", said


@pytest.mark.parametrize(
    ("headers", "navigates"),
    [
        ({"sec_fetch_dest": ""}, True),
        ({"sec_fetch_dest": "iframe"}, False),
        ({"sec_fetch_mode": "", "sec_fetch_dest": ""}, True),
        ({"sec_fetch_mode": ""}, False),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "method": "HEAD"}, False),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "method": "POST"}, False),
        (
            {"sec_fetch_mode": "", "sec_fetch_dest": "", "access_control_request_method": "GET"},
            False,
        ),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "x_requested_with": "XMLHttpRequest"}, False),
        ({"sec_fetch_mode": "", "sec_fetch_dest": "", "x_requested_with": "x"}, True),
    ],
)
def test_what_is_a_navigation(headers, navigates):
    if navigates:
        assert isinstance(decide(application(), request(**headers), None, NOW), StartLogin)
    else:
        with pytest.raises(LoginRequired):
            decide(application(), request(**headers), None, NOW)
