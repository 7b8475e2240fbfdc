"""Rows of the attack catalogue that need a whole gateway: floods, rotations, restarts."""

import json
import os
import re
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest
from attack.conftest import LIMITS
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import to_callback
from harness.processes import resident, wait_until
from harness.raw_http import H2, sent
from harness.stored_sessions import Kept
from harness.tokens import Signer, public

HTML = {"accept": "text/html"}


@pytest.mark.attack("CONF-27")
def test_a_login_that_the_provider_begins_goes_to_our_provider_and_ends_on_our_page(
    stack: Stack,
) -> None:
    with stack.user() as user:
        query = f"iss={stack.provider.issuer}&target_link_uri=https%3A%2F%2Fevil.example%2F&login_hint=alice"
        page = user.go(f"{stack.url('/oauth2/login')}?{query}", page="https://portal.example/")
        assert (
            page.status_code == 200
            and page.url == stack.url("/")
            and user.cookies.named("extproc-session-app")
        )


@pytest.mark.attack("FAPI-04")
@pytest.mark.parametrize("state", [None, "", "x", "0" * 35, "other"])
def test_a_callback_of_another_state_or_none_calls_nobody(stack: Stack, state: str | None) -> None:
    with stack.user() as user, stack.user() as other:
        callback = httpx.URL(to_callback(stack, user))
        sent = httpx.URL(to_callback(stack, other)).params["state"] if state == "other" else state
        params = (
            callback.params.remove("state") if sent is None else callback.params.set("state", sent)
        )
        stack.provider.requests.clear()
        answer = user.navigate(str(callback.copy_with(params=params)))
        assert answer.status_code == 400 and ">state_mismatch<" in answer.text
        assert not stack.provider.requests and not user.cookies.named("extproc-session")
        # The login itself can be completed.
        assert user.navigate(str(callback)).status_code == 303


@pytest.mark.attack("COOK-25")
def test_a_role_that_was_taken_away_is_gone_with_the_next_refresh(stack: Stack) -> None:
    stack.provider.claims["groups"] = ["dev", "admins"]
    with stack.user() as user:
        groups = lambda page: dict(page.json()["headers"]).get("x-auth-groups")  # noqa: E731
        assert groups(user.go(stack.url("/private"))) == "dev,admins"
        Kept(stack).age(user)
        user.cookies.drop("extproc-assertion-app")
        stack.provider.claims["groups"] = ["dev"]
        assert groups(user.navigate(stack.url("/private"))) == "dev"
        # The role is also missing in the new assertion.
        assert groups(user.navigate(stack.url("/fast"))) == "dev"


PLANTED = [
    b'/a"b\\\\c\x1b[31m\x7f?x=\x1b]0;evil\x07',
    b'/%0d%0a{"event":"forged"}',
    b"/" + b"a" * 8_000,
    b"/\xff\xfe\xc3\xa9",
]


@pytest.mark.attack("WEB-07")
def test_whatever_a_request_holds_a_log_line_is_one_line_of_json(stack: Stack) -> None:
    agent = b'Mozilla "\\\x1b[2J\xff {"event":"forged"} ' + b"x" * 8_000
    for target in PLANTED:
        head = b"GET %b HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nuser-agent: %b\r\nconnection: close\r\n\r\n"
        assert sent(stack.port, head % (target, agent)).split(b" ")[1] in (b"303", b"400")
    stack.provider.claims["name"] = stack.provider.userinfo["name"] = (
        'a\r\n{"event":"forged"}\x1b[31m' + "b" * 50_000
    )
    with stack.user() as user:
        user.go(stack.url("/private"))
    stack.provider.answers["/token"] = lambda _: (
        400,
        {},
        b'{"error":"a\\u000a\\u001b[31m{\\"event\\":\\"forged\\"}"}',
    )
    with stack.user() as user:
        user.go(stack.url("/last-of-all"))
    stack.access_log(lambda line: line["path"] == "/last-of-all")
    written = stack.extproc.output() + stack.access_log_file.read_text()
    for line in written.split("\n"):
        assert line.isascii() or line.isprintable()
        assert not re.search(r"[\x00-\x1f\x7f]", line) and len(line) < 20_000
        assert not line or json.loads(line).get("event") != "forged"


BOMBS = {
    "one header of 100 kB": [("x-bomb", "a" * 100_000)],
    "ten thousand headers": [(f"x-{n}", "1") for n in range(10_000)],
    "200 cookies of 4 kB": [("cookie", "; ".join(f"c{n}={'a' * 4000}" for n in range(200)))],
    "200 cookies of ours": [
        ("cookie", "; ".join(f"extproc-login-app-{n:08x}={'a' * 250}" for n in range(200)))
    ],
    "3,000 cookies in crumbs": [("cookie", f"extproc-session-app={n}") for n in range(3_000)],
}


@pytest.mark.attack("REL-33")
@pytest.mark.parametrize("bomb", BOMBS)
def test_header_bombs_are_refused_or_answered_and_others_are_served(
    stack: Stack, bomb: str
) -> None:
    before = resident(stack.extproc.pid)
    lines = "".join(f"{name}: {value}\r\n" for name, value in BOMBS[bomb])
    head = (
        "GET /private HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nconnection: "
        f"close\r\n{lines}\r\n"
    )
    answered = {
        sent(stack.port, head.encode(), until=b"\r\n\r\n").partition(b" ")[2][:3] for _ in range(5)
    }
    with H2(stack.port, wait=2) as client:
        base = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "localhost"),
            (":path", "/private"),
        ]
        # In several headers, because this client's library takes minutes to pack a value of 800 kB.
        crumbs = [(name, part) for name, value in BOMBS[bomb] for part in value.split("; ")]
        by_h2 = client.ask([*base, ("accept", "text/html"), *crumbs])
    # Envoy may close a connection that it has not read to its end.
    allowed = {b"303", b"400", b"431", b""}
    assert answered <= allowed and (by_h2 is None or by_h2[":status"].encode() in allowed)
    assert not stack.app.requests and resident(stack.extproc.pid) - before < 20_000_000
    with stack.user() as user:
        assert user.go(stack.url("/private")).status_code == 200


H2_LIES = {
    "no path": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost")],
    "two authorities": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":authority", "evil.example"), (":path", "/x")],
    "authority and another host": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x"), ("host", "evil.example")],
    "no authority": [(":method", "GET"), (":scheme", "http"), (":path", "/x")],
    "upper case": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x"), ("X-Auth-Sub", "root")],
    "pseudo header late": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), ("x-a", "1"), (":path", "/x")],
    "a pseudo header of its own": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x"), (":x-auth-sub", "root")],
    "line end in a value": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x"), ("x-a", "1\r\nx-auth-sub: root")],
    "line end in a name": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x"), ("x-a\r\nx-auth-sub", "root")],
    "line end in the path": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x HTTP/1.1\r\nx-auth-sub: root")],
    "connection headers": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x"), ("connection", "x-extproc-cookies"), ("transfer-encoding", "chunked")],
    "extended connect": [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x")],
    "plain connect": [(":method", "CONNECT"), (":authority", "localhost:80")],
    "our own words": [(":method", "GET"), (":scheme", "http"), (":authority", "localhost"), (":path", "/x"), ("x-extproc-application", "app"), ("x-extproc-public", "1"), ("x-auth-sub", "root")],
}  # fmt: skip


@pytest.mark.attack("EXTP-19")
@pytest.mark.parametrize("lie", H2_LIES)
def test_http2_that_no_client_speaks_opens_nothing(stack: Stack, lie: str) -> None:
    with H2(stack.port) as client:
        answer = client.ask(H2_LIES[lie])
        assert answer is None or answer[":status"] in ("400", "401", "403", "404", "421"), answer
        with H2(stack.port) as other:
            base = [
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "localhost"),
                (":path", "/private"),
            ]
            served = other.ask(base)
            assert served is not None and served[":status"] == "401"
    assert not stack.app.requests


@pytest.mark.attack("EXTP-05")
def test_streams_that_are_reset_at_once_leave_nothing(stack: Stack) -> None:
    base = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "localhost"),
        ("accept", "text/html"),
    ]
    with H2(stack.port) as client:
        for n in range(80):
            stream = client.begin([*base, (":path", f"/{n}")], ends=n % 2 == 0)
            client.connection.reset_stream(stream)
            client.flush()
    wait_until(lambda: stack.stat("cluster.processor.upstream_rq_active") == 0, 60)
    assert not stack.app.requests


SMUGGLED = b"GET /private HTTP/1.1\r\nhost: localhost\r\nx-auth-sub: root\r\n\r\n"


@pytest.mark.attack("HDR-01", "PATH-08")
@pytest.mark.parametrize(
    "lines",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nx",
        b"content-length: 0\r\ncontent-length: 70\r\n\r\n",
        b"content-length: +70\r\n\r\n",
        b"content-length: 0x10\r\n\r\n",
        b"content-length : 70\r\n\r\n",
        b"x-a: 1\n\n",
        b" folded: 1\r\n\r\n",
        b"x-a: 1\r\n\tx-auth-sub: root\r\n\r\n",
        b"x\x00a: 1\r\n\r\n",
        b"expect: 100-continue\r\ncontent-length: 70\r\n\r\n",
        b"upgrade: h2c\r\nconnection: upgrade, http2-settings\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    ],
)
def test_a_request_within_a_request_reaches_nobody(stack: Stack, lines: bytes) -> None:
    head = b"POST /private HTTP/1.1\r\nhost: localhost\r\n" + lines
    answer = sent(stack.port, head + SMUGGLED * 2, wait=1)
    assert not stack.app.requests and b" 200 " not in answer
    assert all(
        status in (b"100", b"400", b"401", b"403", b"417", b"501")
        for status in re.findall(rb"HTTP/1\.1 (\d+)", answer)
    )


@pytest.mark.attack("REL-11")
def test_keys_that_rotate_amid_logins_cost_one_fetch_and_no_login(stack: Stack) -> None:
    provider, people = stack.provider, 30
    with ExitStack() as undo, ThreadPoolExecutor(people) as pool:
        users = [undo.enter_context(stack.user()) for _ in range(people)]
        callbacks = [to_callback(stack, user) for user in users]
        with provider.holding("/token"):
            answers = [
                pool.submit(user.navigate, callback)
                for user, callback in zip(users, callbacks, strict=True)
            ]
            wait_until(lambda: provider.held == people, 60)
            provider.requests.clear()
            provider.keys[:], provider.signer = (
                [public("RS256", "2"), public("RS256")],
                Signer("RS256", "2"),
            )
        assert [answer.result().status_code for answer in answers] == [303] * people
    assert len(provider.requests_to("/jwks")) == 1


@pytest.mark.attack("REL-14")
def test_more_callbacks_than_there_is_room_for_are_answered_and_none_is_lost(stack: Stack) -> None:
    people = 2 * LIMITS["callback"]
    with ExitStack() as undo, ThreadPoolExecutor(people) as pool:
        users = [undo.enter_context(stack.user()) for _ in range(people)]
        callbacks = [to_callback(stack, user) for user in users]
        with stack.provider.holding("/token"):
            answers = [
                pool.submit(user.navigate, callback)
                for user, callback in zip(users, callbacks, strict=True)
            ]
            wait_until(lambda: sum(answer.done() for answer in answers) == LIMITS["callback"], 60)
        statuses = [answer.result().status_code for answer in answers]
        assert sorted(statuses) == [303] * LIMITS["callback"] + [503] * LIMITS["callback"]
        again = [n for n, status in enumerate(statuses) if status == 503]
        assert all("retry-after" in answers[n].result().headers for n in again)
        reloads = [pool.submit(users[n].navigate, callbacks[n]) for n in again]
        assert [reload.result().status_code for reload in reloads] == [303] * len(again)
        assert len(stack.provider.redeemed) == people


PEOPLE = 40


@pytest.mark.attack("REL-31")
def test_many_people_sign_in_at_once_and_nobody_is_somebody_else() -> None:
    with Stack(FakeProvider(), settings={"workers": 2}) as stack:

        def person(n: int) -> list[str]:
            with stack.user() as user:
                user.follow(user.navigate(to_callback(stack, user, f"/{n}", name=f"user{n}")))
                pages = []
                for turn in range(2):
                    if turn % 2:
                        user.cookies.drop("extproc-assertion-app")
                    pages.append(user.navigate(stack.url(f"/{n}/{turn}")).json())
                return [
                    dict(page["headers"]).get(name)
                    for page in pages
                    for name in ("x-auth-sub", "x-auth-email")
                ]

        with ThreadPoolExecutor(20) as pool:
            seen = list(pool.map(person, range(PEOPLE)))
        assert seen == [[f"user{n}", f"user{n}@example.com"] * 2 for n in range(PEOPLE)]
        assert len(stack.provider.redeemed) == PEOPLE


@pytest.mark.attack("REL-30")
def test_an_envoy_that_is_killed_loses_no_session_and_no_login(stack: Stack) -> None:
    with stack.user() as user, stack.user() as other, ThreadPoolExecutor(1) as pool:
        assert other.go(stack.url("/private")).status_code == 200
        callback = to_callback(stack, user)
        with stack.provider.holding("/me"):
            answer = pool.submit(user.navigate, callback)
            wait_until(lambda: stack.provider.held == 1, 60)
            os.kill(stack.envoy.pid, signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                answer.result()
        stack.stop_envoy()
        stack.start_envoy()
        wait_until(
            lambda: httpx.get(stack.url("/x"), trust_env=False).status_code == 401, 60, every=0.2
        )
        other.cookies.drop("extproc-assertion-app")
        assert other.navigate(stack.url("/private")).status_code == 200
        # The code was used: a page with a link to continue.
        late = user.navigate(callback)
        assert late.status_code == 400 and "/oauth2/login" in late.text
        assert user.go(stack.url("/private")).status_code == 200


MEGABYTES = 6  # several times what Envoy would buffer


@pytest.mark.attack("EXTP-17", "PATH-17")
@pytest.mark.parametrize("http2", [False, True])
def test_bodies_of_any_size_pass_and_none_comes_to_the_processor(stack: Stack, http2: bool) -> None:
    with (
        stack.user() as user,
        httpx.Client(http1=not http2, http2=http2, trust_env=False, timeout=60) as http,
    ):
        user.go(stack.url("/private"))
        # So that the processor decides each request.
        user.cookies.drop("extproc-assertion-app")
        headers = {"cookie": user.cookies.header(stack.url("/")), "accept": "*/*"}
        asked, before = stack.streams(), resident(stack.extproc.pid)
        sent = stack.stat("cluster.processor.upstream_cx_tx_bytes_total")
        up = http.post(
            stack.url("/up?echo-size=2"),
            headers=headers,
            content=(b"x" * 1_000_000 for _ in range(MEGABYTES)),
        )
        assert (
            up.status_code == 200 and len(stack.app.seen("/up")[-1].body) == MEGABYTES * 1_000_000
        )
        stack.app.requests.clear()
        with http.stream(
            "GET", stack.url(f"/down?echo-size={MEGABYTES * 1_000_000}"), headers=headers
        ) as down:
            assert sum(len(chunk) for chunk in down.iter_raw()) == MEGABYTES * 1_000_000
        http.cookies.clear()
        # Over HTTP/2 Envoy gives a body that is not read no window, and this client would wait for
        # it.
        refused = http.post(
            stack.url("/up"),
            content=(b"x" * 10_000 for _ in range(1 if http2 else 100 * MEGABYTES)),
        )
        assert refused.status_code == 401 and not stack.app.seen("/up")
        assert stack.streams() == asked + 3 and resident(stack.extproc.pid) - before < 20_000_000
        assert stack.stat("cluster.processor.upstream_cx_tx_bytes_total") - sent < 50_000
    stack.app.requests.clear()


def test_no_page_is_waited_for_longer_than_its_deadline_whoever_is_slow(stack: Stack) -> None:
    """Envoy ends a head that arrives letter by letter. Other users are served meanwhile."""
    with socket.create_connection(("127.0.0.1", stack.port)) as slow:
        for byte in b"GET /private HTTP/1.1\r\nhost: loc":
            slow.sendall(bytes([byte]))
            # By time: letter by letter.
            time.sleep(0.005)
        assert httpx.get(stack.url("/x"), trust_env=False).status_code == 401
    assert not stack.app.requests
