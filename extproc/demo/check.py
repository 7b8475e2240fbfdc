"""`extproc demo --check`: one login as a browser would do it, checked at each part of the stack."""

import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from extproc.checks.browser import Browser, Landing
from extproc.demo.evidence import eventually, is_logged, json_of, streams, trace
from extproc.demo.layout import ADMINS, ALICE, BOB, Layout
from extproc.demo.stack import Stack
from extproc.traces import Span, render

# A target that differs if any part of the stack decodes it.
WANTED = "reports/caf%C3%A9?year=2026&q=a%2Fb+c%20d&empty="
OUR_COOKIE = re.compile(r"^(__Host-)?extproc-")
EVIL = "EVIL"
THEIRS = ("theme", "dark")  # a cookie of the application


@dataclass(slots=True)
class Report:
    """The expectations of the check: each is printed, and those that fail are kept."""

    failed: list[str] = field(default_factory=list)

    def __call__(self, holds: bool, expectation: str, actual: object = "") -> None:
        """actual: printed if the expectation does not hold."""
        detail = "" if holds or actual == "" else f": {str(actual)[:300]}"
        print(f"  {'✓' if holds else '✗'} {expectation}{detail}", flush=True)
        if not holds:
            self.failed.append(expectation + detail)


def check(layout: Layout, stack: Stack) -> int:
    """Signs in, checks, signs out. Returns the exit status: 0 only if every expectation holds."""
    expect = Report()
    try:
        callback = _journey(layout, expect)
        _print_trace(layout, expect, callback)
    except httpx.HTTPError as error:
        # If a part has ended, PartDied names it.
        stack.look()
        expect(False, "a request failed", f"{type(error).__name__}: {error}")
    if expect.failed:
        print(f"\nfailed: {len(expect.failed)}", flush=True)
        for expectation in expect.failed:
            print(f"  {expectation}", flush=True)
        return 1
    print("\nOK", flush=True)
    return 0


def _journey(layout: Layout, expect: Report) -> str:
    """Signs in, makes further requests, signs out. Returns the trace id of the callback."""
    browser = Browser(
        ALICE.name, ALICE.password, extra=(("x-auth-sub", EVIL), ("X-Auth-Groups", EVIL))
    )
    browser.cookies["localhost"] = dict([THEIRS])
    wanted = layout.app + WANTED
    print(f"\nlogin, asking for {wanted}")
    began = time.monotonic()
    landing = browser.open(wanted)
    _print_hops(landing)
    print(f"  signed in after {time.monotonic() - began:.2f} s\n\nchecks")
    callback = landing.hop("/oauth2/callback")
    expect(callback is not None, "the provider sent the browser back to the callback", landing.url)
    expect(
        landing.url == wanted,
        "the login ended on the page that was asked for, byte for byte",
        landing.url,
    )
    expect(
        landing.answer.status_code == 200,
        "the application answered 200",
        landing.answer.status_code,
    )
    expect(
        f"Hello, {ALICE.full_name}" in landing.answer.text, "the application knows the user's name"
    )
    _second_request(layout, expect, browser)
    _provider_calls(layout, expect)
    _own_endpoints(layout, expect, browser)
    _rule(layout, expect, browser)
    _logout(layout, expect, browser)
    return callback.trace_id if callback else ""


def _second_request(layout: Layout, expect: Report, browser: Browser) -> None:
    """Checks that a signed-in request does not reach the processor."""
    before = streams(layout)
    answer = browser.fetch(layout.app + WANTED)
    after = streams(layout)
    expect(answer.status_code == 200, "a second request is let through", answer.status_code)
    reached = json_of(answer)
    _forwarded(reached, expect)
    expect(
        before > 0 and after == before,
        "fast path: no ext_proc stream for it",
        f"{before} streams before, {after} after",
    )
    spans = trace(
        layout,
        str(reached.get("trace_id", "")),
        lambda spans: any(span.service == "app" for span in spans),
    )
    services = sorted({span.service for span in spans})
    expect(
        "app" in services and len(services) > 1,
        "its trace has the gateway and the application",
        services,
    )
    expect("extproc" not in services, "and not the processor", services)


def _forwarded(reached: dict[str, Any], expect: Report) -> None:
    """Checks what reached the application: the path and the identity, and none of the gateway's
    cookies.
    """
    headers = [(str(name).lower(), str(value)) for name, value in reached.get("headers", [])]
    subjects = [value for name, value in headers if name == "x-auth-sub"]
    path = reached.get("path")
    cookies = "; ".join(value for name, value in headers if name == "cookie")
    ours = [name for name in reached.get("cookies", {}) if OUR_COOKIE.match(name)]
    expect(
        subjects == [ALICE.name], "the spoofed x-auth-sub was replaced at the application", subjects
    )
    expect(
        not any(EVIL in value for _, value in headers),
        "nothing of the other spoofed header was left",
    )
    expect(path == f"/{WANTED}", "the path reached the application as it was sent", path)
    expect(
        not ours and "extproc-" not in cookies,
        "none of the gateway's cookies reached the application",
        ours,
    )
    expect(cookies == "=".join(THEIRS), "the application's own cookie reached it", cookies)


def _provider_calls(layout: Layout, expect: Report) -> None:
    """Checks the processor's calls in Envoy's access log, because the provider is behind the same
    Envoy.
    """
    for method, path in (("POST", "/token"), ("GET", "/userinfo")):
        logged = eventually(partial(is_logged, layout, method, path))
        expect(logged, f"the processor's {method} {path} is in Envoy's access log")


def _own_endpoints(layout: Layout, expect: Report, browser: Browser) -> None:
    """Checks /oauth2/userinfo and a public page."""
    answer = browser.fetch(f"{layout.app}oauth2/userinfo")
    expect(
        answer.status_code == 200 and json_of(answer).get("sub") == ALICE.name,
        "/oauth2/userinfo names the user",
        answer,
    )
    public = Browser(extra=(("x-auth-sub", EVIL),)).open(f"{layout.app}public/")
    expect(
        public.answer.status_code == 200 and EVIL not in public.answer.text,
        "the public page needs no login",
        public.answer,
    )


def _rule(layout: Layout, expect: Report, browser: Browser) -> None:
    """Checks that the rule of the demo admits Alice, without the processor, and not Bob."""
    before = streams(layout)
    answer = browser.fetch(layout.admin_page)
    expect(
        answer.status_code == 200 and streams(layout) == before,
        f"{ALICE.name} is in {ADMINS}, so {layout.admin_page} is open, without the processor",
        answer,
    )
    other = Browser(BOB.name, BOB.password)
    refused = other.open(layout.admin_page).answer
    expect(
        refused.status_code == 403 and "not_allowed" in refused.text,
        f"{BOB.name} is not, so it is closed",
        refused,
    )
    expect(
        ADMINS not in refused.text,
        "and the page does not say for whom it is open",
    )
    expect(
        other.fetch(layout.app).status_code == 200,
        "and the other pages are open to that user",
    )


def _logout(layout: Layout, expect: Report, browser: Browser) -> None:
    """Signs out, and checks that the session is gone."""
    print(f"\nlogout, by a form of {layout.app}")
    landing = browser.submit(layout.app, f"{layout.app}oauth2/logout", {})
    _print_hops(landing)
    print()
    at_provider = next((hop for hop in landing.hops if hop.url.startswith(layout.idp)), None)
    expect(at_provider is not None, "logout continues at the provider", landing.url)
    expect(landing.answer.status_code == 200, "and ends on a page", landing.answer)
    left = [name for name in browser.cookies["localhost"] if OUR_COOKIE.match(name)]
    expect(not left, "the gateway's cookies are gone from the browser", left)
    again = browser.open(layout.app, follow=False)
    expect(
        again.answer.status_code in (302, 303),
        "the application asks for a login again",
        again.answer,
    )


def _print_hops(landing: Landing) -> None:
    for hop in landing.hops:
        print(f"  {hop.status} {hop.method:4} {hop.shown}")


def _print_trace(layout: Layout, expect: Report, trace_id: str) -> None:
    """Prints and checks the callback's trace: the gateway, the processor, the provider, and the
    gateway again.
    """

    spans = trace(layout, trace_id, lambda spans: all(_parts(spans)))
    print(f"\ntrace of the callback: {layout.traces}/{trace_id}\n{render(spans)}\n")
    both, token, userinfo = _parts(spans)
    expect(
        both,
        "the trace has spans of Envoy and of the processor",
        sorted({span.service for span in spans}),
    )
    expect(token and userinfo, "and the token and UserInfo calls", [span.name for span in spans])


def _parts(spans: tuple[Span, ...]) -> tuple[bool, bool, bool]:
    """Whether spans of Envoy and the processor, the token call and the UserInfo call are there."""
    processor = [span for span in spans if span.service == "extproc"]
    others = {span.service for span in spans} - {"extproc", "provider", "app"}
    calls = [
        " ".join([span.name, *(value for _, value in span.attributes)])
        for span in processor
        if span.kind == "client"
    ]
    return (
        bool(others and processor),
        any("token" in call for call in calls),
        any("userinfo" in call for call in calls),
    )
