"""Live streams end with their session, through a real Envoy: WebSockets, event streams, gRPC calls.

Two promises: no request outlasts its session, nor `stream_lifetime` (Envoy's router ensures it, on
both lanes). With `end_streams`, a stream ends soon after its session, however the session ends.
"""

import contextlib
import itertools
from contextlib import closing

import httpx
import pytest
from harness.browser import WebUser
from harness.envoy import envoys, heavy_oldest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.live import METHOD, Ticking, call, events, websocket
from harness.processes import wait_until

from extproc.admin.sessions import HEADER
from extproc.contract import STREAM_DURATION

NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def ticking():
    with Ticking() as made:
        yield made


@pytest.fixture(scope="module", params=heavy_oldest())
def running(request, ticking):
    def settings(stack: Stack):
        app = {"hosts": ["localhost"], "upstream": stack.app.url, "provider": "main"}
        clock = {
            "hosts": ["localhost"],
            "upstream": ticking.url,
            "upstream_http2": True,
            "provider": "main",
        }
        return {
            "applications": {
                "short": {**app, "path_prefix": "/short/", "stream_lifetime": "2s"},
                "ended": {
                    **app,
                    "path_prefix": "/ended/",
                    "end_streams": ["websocket", "event_stream"],
                },
                "clock": {**clock, "path_prefix": "/test.Clock/", "end_streams": ["grpc"]},
            },
        }

    with Stack(FakeProvider(), settings=settings, envoy=envoys()[request.param]) as stack:
        yield stack


@pytest.fixture
def stack(running):
    running.app.requests.clear()
    return running


@pytest.fixture
def scene():
    """Closes at its end what a test opens."""
    with contextlib.ExitStack() as opened:
        yield opened


def signed_in(scene, stack: Stack, *paths: str) -> WebUser:
    """A user whom no other test has, with a session in each application."""
    stack.provider.user = f"user-{next(NUMBERS)}"
    user = scene.enter_context(stack.user(stack.provider.user))
    for path in paths:
        user.go(stack.url(path), stop="/test.Clock/")
    assert len(user.cookies.named("extproc-session-")) == len(paths), user.journey()
    return user


def cookies(stack: Stack, user: WebUser, *, assertion: bool = True) -> str:
    """The browser's cookies as a script's request has them.

    Without an assertion the processor decides.
    """
    if not assertion:
        for cookie in user.cookies.named("extproc-assertion-"):
            user.cookies.drop(cookie.name)
    return user.cookies.header(stack.url("/"))


def end(stack: Stack, user: WebUser) -> None:
    """End this user's sessions as an operator on another machine: through the store."""
    request = {"params": {"user": user.user}, "headers": {HEADER: "1"}}
    answer = httpx.delete(f"{stack.admin}/sessions", trust_env=False, **request)
    assert answer.json()["ended"] >= 1


@pytest.mark.parametrize("assertion", [True, False], ids=["fast path", "processor"])
def test_a_stream_ends_after_stream_lifetime_and_another_goes_on(stack, scene, assertion):
    user = signed_in(scene, stack, "/short/", "/private")
    sent, before = cookies(stack, user, assertion=assertion), stack.streams()
    # A client cannot ask for more.
    longer = (STREAM_DURATION, "3600000")
    short = [
        scene.enter_context(closing(opens(stack.port, "/short/x", sent, longer)))
        for opens in (websocket, events)
    ]
    others = [
        scene.enter_context(closing(opens(stack.port, "/private", sent)))
        for opens in (websocket, events)
    ]
    assert stack.streams() - before == (0 if assertion else 4)
    assert all(stream.goes_on() for stream in short + others)
    for stream in short:
        stream.ends()
    assert all(stream.goes_on() for stream in others)
    for request in stack.app.requests[-4:]:
        assert request.get("x-auth-sub") == user.user and request.get(STREAM_DURATION) is None
    for status in (101, 200):
        stack.access_log(
            lambda line, s=status: (
                (line["path"], line["status"], line["flags"]) == ("/short/x", s, "UMSDR")
            )
        )


def test_streams_end_soon_after_their_session_and_those_of_another_go_on(stack, scene, ticking):
    paths = ("/ended/", "/test.Clock/")
    user, leaver, other = (
        signed_in(scene, stack, *paths),
        signed_in(scene, stack, *paths),
        signed_in(scene, stack, *paths),
    )
    before, streams = stack.streams(), {}
    for whose in (user, leaver, other):
        sent = cookies(stack, whose)
        streams[whose.user] = [
            scene.enter_context(closing(opens(stack.port, "/ended/x", sent)))
            for opens in (websocket, events, call)
        ]
        assert all(stream.goes_on() for stream in streams[whose.user])
        assert ticking.seen[-1]["x-auth-sub"] == whose.user
    # The processor decides each, although there are assertions.
    assert stack.streams() - before == 9
    # An operator ends one session, a user ends theirs at both applications.
    end(stack, user)
    leaver.go(stack.url("/ended/oauth2/logout"))
    for stream in streams[user.user] + streams[leaver.user]:
        stream.ends()
    assert all(stream.goes_on() for stream in streams[other.user])
    for path in ("/ended/x", METHOD):
        stack.access_log(
            lambda line, p=path: line["reason"] == "session_over" and line["path"] == p
        )


def test_only_live_streams_are_held_at_the_processor(stack, scene):
    user = signed_in(scene, stack, "/ended/")
    sent, before, held = (
        cookies(stack, user),
        stack.streams(),
        "cluster.processor.upstream_rq_active",
    )
    assert user.request("GET", stack.url("/ended/x"), headers={"accept": "*/*"}).status_code == 200
    assert stack.streams() == before
    stream = scene.enter_context(closing(websocket(stack.port, "/ended/x", sent)))
    assert stream.goes_on()
    wait_until(lambda: stack.stat(held) == 1, 30)
    stream.close()
    wait_until(lambda: stack.stat(held) == 0, 30)


def test_a_live_stream_needs_a_session(stack):
    answer = httpx.get(
        stack.url("/ended/x?echo-events=1"),
        headers={"accept": "text/event-stream"},
        trust_env=False,
    )
    assert answer.status_code == 401
    assert stack.app.requests == []


def test_a_processor_that_leaves_ends_the_streams_that_it_watches(stack, scene):
    user = signed_in(scene, stack, "/ended/", "/private")
    sent = cookies(stack, user)
    watched = scene.enter_context(closing(websocket(stack.port, "/ended/x", sent)))
    other = scene.enter_context(closing(websocket(stack.port, "/private", sent)))
    assert watched.goes_on() and other.goes_on()
    assert stack.stop_extproc() == 0
    watched.ends()
    assert other.goes_on()
    stack.start_extproc()
    again = scene.enter_context(closing(websocket(stack.port, "/ended/x", sent)))
    assert again.goes_on()
