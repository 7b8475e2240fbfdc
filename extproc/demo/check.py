"""`extproc demo --check`: one login as a browser would do it, looked at from all sides."""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from extproc.checks.browser import Browser, Landing
from extproc.demo.files import ALICE, Layout
from extproc.demo.stack import Stack
from extproc.traces import Event, Span, render

# comes back byte for byte, or something decoded it
WANTED = "reports/caf%C3%A9?year=2026&q=a%2Fb+c%20d&empty="
OUR_COOKIE = re.compile(r"^(__Host-)?extproc-")
EVIL = "EVIL"
THEIRS = ("theme", "dark")  # a cookie of the application's own
PATIENCE = 15.0  # seconds for logs and spans to arrive


@dataclass(slots=True)
class Report:
    """Prints each finding as it comes, and remembers what was wrong."""

    wrong: list[str] = field(default_factory=list)

    def __call__(self, right: bool, what: str, seen: object = "") -> None:
        detail = "" if right or seen == "" else f": {str(seen)[:300]}"
        print(f"  {'✓' if right else '✗'} {what}{detail}", flush=True)
        if not right:
            self.wrong.append(what + detail)


def check(layout: Layout, stack: Stack) -> int:
    """Signs in, looks, signs out. The exit status: 0 only if all was right."""
    say = Report()
    try:
        callback = _journey(layout, say)
        _print_trace(layout, say, callback)
    except httpx.HTTPError as error:
        stack.look()  # rather says which part died
        say(False, "a request failed", f"{type(error).__name__}: {error}")
    if say.wrong:
        print("\nnot all right:\n" + "\n".join(f"  {what}" for what in say.wrong), flush=True)
        return 1
    print("\nall right", flush=True)
    return 0


def _journey(layout: Layout, say: Report) -> str:
    """The login and what comes after it; gives the trace id of the callback."""
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
    say(callback is not None, "the provider sent the browser back to the callback", landing.url)
    say(landing.url == wanted, "landed on the page first asked for, byte for byte", landing.url)
    say(
        landing.answer.status_code == 200,
        "the application answered 200",
        landing.answer.status_code,
    )
    say(f"Hello, {ALICE.full_name}" in landing.answer.text, "the application knows the user's name")
    _second_request(layout, say, browser)
    _provider_calls(layout, say)
    _own_endpoints(layout, say, browser)
    return callback.trace_id if callback else ""


def _second_request(layout: Layout, say: Report, browser: Browser) -> None:
    """A signed-in request does not reach the processor, and brings the application the identity and
    nothing of ours.
    """
    before = _streams(layout)
    answer = browser.fetch(layout.app + WANTED)
    after = _streams(layout)
    say(answer.status_code == 200, "a second request is let through", answer.status_code)
    seen = _json(answer)
    headers = [(str(name).lower(), str(value)) for name, value in seen.get("headers", [])]
    subjects = [value for name, value in headers if name == "x-auth-sub"]
    say(
        subjects == [ALICE.name], "the spoofed x-auth-sub was replaced at the application", subjects
    )
    say(
        not any(EVIL in value for _, value in headers),
        "nothing of the other spoofed header was left",
    )
    say(
        seen.get("path") == f"/{WANTED}",
        "the path reached the application as it was sent",
        seen.get("path"),
    )
    cookies = "; ".join(value for name, value in headers if name == "cookie")
    ours = [name for name in seen.get("cookies", {}) if OUR_COOKIE.match(name)]
    say(not ours and "extproc-" not in cookies, "none of our cookies reached the application", ours)
    say(cookies == "=".join(THEIRS), "the application's own cookie did, as it was", cookies)
    say(
        before > 0 and after == before,
        "fast path: no ext_proc stream for it",
        f"{before} streams before, {after} after",
    )
    spans = _trace(
        layout, str(seen.get("trace_id", "")), lambda spans: any(s.service == "app" for s in spans)
    )
    services = sorted({span.service for span in spans})
    say(
        "app" in services and len(services) > 1,
        "its trace has the gateway and the application",
        services,
    )
    say("extproc" not in services, "and not the processor", services)


def _provider_calls(layout: Layout, say: Report) -> None:
    """The provider is behind the same Envoy, so our calls to it are in that Envoy's access log."""
    for method, path in (("POST", "/token"), ("GET", "/userinfo")):
        line = f"{method} {path} of ours in Envoy's access log"
        say(_eventually(lambda m=method, p=path: _logged(layout, m, p)), line)  # type: ignore[misc]


def _own_endpoints(layout: Layout, say: Report, browser: Browser) -> None:
    answer = browser.fetch(f"{layout.app}oauth2/userinfo")
    say(
        answer.status_code == 200 and _json(answer).get("sub") == ALICE.name,
        "/oauth2/userinfo says who is signed in",
        answer,
    )
    public = Browser(extra=(("x-auth-sub", EVIL),)).open(f"{layout.app}public/")
    say(
        public.answer.status_code == 200 and EVIL not in public.answer.text,
        "the public page needs no login",
        public.answer,
    )
    print(f"\nlogout, by a form of {layout.app}")
    landing = browser.submit(layout.app, f"{layout.app}oauth2/logout", {})
    _print_hops(landing)
    print()
    at_provider = next((hop for hop in landing.hops if hop.url.startswith(layout.idp)), None)
    say(at_provider is not None, "logout goes on to the provider", landing.url)
    say(landing.answer.status_code == 200, "and ends on a page", landing.answer)
    left = [name for name in browser.cookies["localhost"] if OUR_COOKIE.match(name)]
    say(not left, "our cookies are gone from the browser", left)
    again = browser.open(layout.app, follow=False)
    say(
        again.answer.status_code in (302, 303),
        "the application asks for a login again",
        again.answer,
    )


def _print_hops(landing: Landing) -> None:
    for hop in landing.hops:
        print(f"  {hop.status} {hop.method:4} {hop.shown}")


def _print_trace(layout: Layout, say: Report, trace_id: str) -> None:
    """The callback's trace, from the gateway through the processor to the provider and back through
    the gateway.
    """

    def calls(spans: tuple[Span, ...]) -> tuple[bool, bool, bool]:
        ours = [span for span in spans if span.service == "extproc"]
        others = {span.service for span in spans} - {"extproc", "provider", "app"}
        named = [
            " ".join([s.name, *(value for _, value in s.attributes)])
            for s in ours
            if s.kind == "client"
        ]
        return (
            bool(others and ours),
            any("token" in n for n in named),
            any("userinfo" in n for n in named),
        )

    spans = _trace(layout, trace_id, lambda spans: all(calls(spans)))
    print(f"\ntrace of the callback: {layout.traces}/{trace_id}\n" + render(spans) + "\n")
    both, token, userinfo = calls(spans)
    say(
        both,
        "the trace has spans of Envoy and of the processor",
        sorted({span.service for span in spans}),
    )
    say(token and userinfo, "and the token and UserInfo calls", [span.name for span in spans])


def _eventually(found: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _logged(layout: Layout, method: str, path: str) -> bool:
    if not layout.access_log.exists():
        return False
    lines = [
        json.loads(line)
        for line in layout.access_log.read_text().splitlines()
        if line.startswith("{")
    ]
    return any(
        line.get("method") == method and str(line.get("path", "")).partition("?")[0] == path
        for line in lines
    )


def _streams(layout: Layout) -> int:
    """How many ext_proc streams Envoy has opened so far."""
    url = f"http://127.0.0.1:{layout.envoy_admin_port}/stats"
    text = httpx.get(url, params={"filter": "ext_proc.*streams_started"}, trust_env=False).text
    return sum(int(line.rpartition(":")[2]) for line in text.splitlines() if ":" in line)


def _trace(
    layout: Layout, trace_id: str, complete: Callable[[tuple[Span, ...]], bool]
) -> tuple[Span, ...]:
    """The spans of one trace as the admin has them, once they are complete or patience ends."""
    spans: tuple[Span, ...] = ()

    def look() -> bool:
        nonlocal spans
        answer = httpx.get(f"{layout.traces}/{trace_id}.json", trust_env=False)
        spans = (
            tuple(_span(raw) for raw in answer.json()["spans"]) if answer.status_code == 200 else ()
        )
        return complete(spans)

    _eventually(look)
    return spans


def _span(raw: dict[str, Any]) -> Span:
    events = tuple(Event(event["name"], event["time_ns"]) for event in raw["events"])
    return Span(
        **{**raw, "attributes": tuple(raw["attributes"].items()), "events": events, "links": ()}
    )


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
