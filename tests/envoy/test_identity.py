"""Who is signed in: the fast path, what is no assertion, what a client cannot say about itself."""

import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from harness.envoy_parts import RING, SECRET, Asked, assertion
from harness.envoy_world import Gateway, World

from extproc.contract import COOKIES
from extproc.core.assertion import AssertionProfile, key_id, mint
from extproc.core.encoding import b64encode
from extproc.core.sealing import KeyRing
from extproc.core.session import SessionId

SPOOFED = (
    "X-Auth-Sub: EVIL",
    "x-auth-email: evil@example",
    "X-AUTH-GROUPS: admins",
    "x-auth-anything: 1",
)


def test_a_valid_assertion_skips_the_processor_and_becomes_headers(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    cookie = plain.cookie("main", x_auth_sub="alice", x_auth_groups="a,b", x_auth_name="Zo%C3%AB")
    reply = plain.client.get("/page?q=1", cookie=f"a=1; {cookie}; b=2")
    assert reply.status == 200
    (received,) = world.upstream.received
    assert received.target == "/page?q=1"
    assert [received.values(f"x-auth-{name}") for name in ("sub", "groups", "name", "email")] == [
        ["alice"],
        ["a,b"],
        ["Zo%C3%AB"],
        [],
    ]
    assert received.values("cookie") == ["a=1; b=2"]
    assert asked == []


@pytest.mark.attack("HDR-02")
@pytest.mark.threat("spoofed-identity")
def test_a_signed_in_client_cannot_add_to_its_identity(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    cookie = plain.cookie("main", x_auth_sub="alice")
    assert plain.client.get("/", *SPOOFED, cookie=cookie).status == 200
    (received,) = world.upstream.received
    assert [name for name in received.names() if name.startswith("x-auth")] == ["x-auth-sub"]
    assert received.values("x-auth-sub") == ["alice"]
    assert asked == []


@pytest.mark.attack("HDR-01")
@pytest.mark.threat("spoofed-identity")
@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/p?stub=continue", None),
        ("/public/x", None),
        ("/robots.txt", None),
        ("/wiki/x?stub=continue", None),
        ("/assets/x", None),
        ("/x", "idp.test"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
def test_spoofed_headers_are_gone_on_every_kind_of_route(
    plain: Gateway, world: World, asked: list[Asked], path: str, host: str | None, method: str
) -> None:
    assert (
        plain.client.get(path, *SPOOFED, "content-length: 0", host=host, method=method).status
        == 200
    )
    (received,) = world.upstream.received
    names = {name for name in received.names() if name.startswith("x-auth")}
    assert names <= {"x-auth-sub", "x-auth-name"}
    assert received.values("x-auth-sub") in ([], ["stub"])


@pytest.mark.attack("HDR-01")
def test_our_own_endpoints_let_nothing_through(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    assert plain.client.get("/oauth2/callback?stub=continue", *SPOOFED).status == 404
    assert world.upstream.received == []


@pytest.mark.attack("HDR-03")
@pytest.mark.parametrize(
    "name", ["X_Auth_User", "X-Auth_User", "x_auth-user", "X_AUTH_SUB", "any_name"]
)
def test_underscores_in_header_names_are_refused(
    plain: Gateway, world: World, asked: list[Asked], name: str
) -> None:
    assert plain.client.get("/public/", f"{name}: EVIL").status == 400
    assert plain.client.get("/x", f"{name}: EVIL", host="idp.test").status == 400
    assert world.upstream.received == []


@pytest.mark.attack("HDR-03")
@pytest.mark.threat("spoofed-identity")
@pytest.mark.parametrize("name", ["X.Auth.Sub", "x-auth.sub", "x~auth~sub", "X!Auth-Sub"])
def test_other_signs_that_an_upstream_may_fold_are_removed(
    plain: Gateway, world: World, asked: list[Asked], name: str
) -> None:
    assert plain.client.get("/public/", f"{name}: EVIL").status == 200
    assert b"EVIL" not in world.upstream.received[0].raw


@pytest.mark.attack("HDR-06")
@pytest.mark.parametrize(
    "line", [b"X-Auth-Sub: \x80\xff", b"cookie: a=\xff\xfe; extproc-session-main=\x80"]
)
def test_bytes_that_are_no_text_change_nothing(
    plain: Gateway, world: World, asked: list[Asked], line: bytes
) -> None:
    reply = plain.client.get("/x?stub=continue", line)
    assert reply.status in (200, 400)
    for received in world.upstream.received:
        assert received.values("x-auth-sub") == ["stub"]
        assert b"extproc-session" not in received.raw
    assert plain.client.get("/x", line).status in (303, 400)


@pytest.mark.attack("HDR-08")
@pytest.mark.threat("spoofed-identity")
def test_a_claim_that_is_missing_is_no_header_even_when_the_client_sends_one(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    plain.client.get("/", "x-auth-email: EVIL", cookie=plain.cookie("main"))
    assert world.upstream.received[0].values("x-auth-email") == []


@pytest.mark.threat("ended-session")
@pytest.mark.parametrize("life", [8, 60])
def test_an_assertion_is_refused_when_its_lifetime_has_passed_whatever_envoy_adds_to_it(
    plain: Gateway, world: World, asked: list[Asked], life: int
) -> None:
    """Envoy accepts a token for a second after its exp, and to the end of that second."""
    session = SessionId.of(b"s" * 32)
    profile = AssertionProfile(plain.settings.url("main"), life)
    fresh = plain.cookie("main")
    assert plain.client.get("/", cookie=fresh).status == 200
    assert asked == [] and world.upstream.received.pop().values("x-auth-sub") == ["alice"]
    begun = int(time.time()) - life
    token = mint(
        RING, profile, ("main",), session.handle, [("x-auth-sub", "alice")], begun, 1 << 40
    )
    ending = mint(
        RING, profile, ("main",), session.handle, [("x-auth-sub", "alice")], begun, begun + life
    )
    for old in (token, ending):
        cookie = fresh.replace(assertion_of(fresh), str(old))
        assert plain.client.get("/", cookie=cookie).status == 303
    assert world.upstream.received == [] and len(asked) == 2


def assertion_of(cookies: str) -> str:
    """The assertion in a Cookie header of `main`."""
    (value,) = (
        pair.partition("=")[2] for pair in cookies.split("; ") if "extproc-assertion-main=" in pair
    )
    return value


@pytest.mark.attack("HDR-13")
def test_a_bearer_token_is_no_assertion(plain: Gateway, world: World, asked: list[Asked]) -> None:
    token = assertion(plain.settings, "main")
    assert plain.client.get("/", f"Authorization: Bearer {token}").status == 303
    assert plain.client.get(f"/?access_token={token}").status == 303
    assert world.upstream.received == []


def _signed(
    head: dict[str, object], claims: dict[str, object], key: Ed25519PrivateKey | None = None
) -> str:
    signer = key or Ed25519PrivateKey.from_private_bytes(RING.keys[0].assertion_seed)
    text = ".".join(b64encode(json.dumps(part).encode()) for part in (head, claims))
    return f"{text}.{b64encode(signer.sign(text.encode()))}"


def _no_assertions(gateway: Gateway) -> dict[str, str]:
    """What must not pass, by name; each is one step away from a good assertion."""
    now = int(time.time())
    head: dict[str, object] = {"alg": "EdDSA", "kid": key_id(RING.keys[0]), "typ": "JWT"}
    claims: dict[str, object] = {
        "iss": gateway.settings.url("main"),
        "aud": "main",
        "exp": now + 60,
        "x-auth-sub": "EVIL",
    }
    good = _signed(head, claims)
    part = good.split(".")
    none = b64encode(json.dumps({"alg": "none"}).encode())
    return {
        "another application's": _signed(
            head, {**claims, "aud": "wiki", "iss": gateway.settings.url("wiki")}
        ),
        "another audience": _signed(head, {**claims, "aud": "wiki"}),
        "another issuer": _signed(head, {**claims, "iss": "https://evil.example/"}),
        "expired": _signed(head, {**claims, "exp": now - 5}),
        "good for longer than we make them": _signed(head, {**claims, "exp": now + 3600}),
        "without expiry": _signed(head, {k: v for k, v in claims.items() if k != "exp"}),
        "without audience": _signed(head, {k: v for k, v in claims.items() if k != "aud"}),
        "not yet valid": _signed(head, {**claims, "nbf": now + 600}),
        "signature changed": good[:-6] + ("AAAAAA" if not good.endswith("AAAAAA") else "BBBBBB"),
        "claims changed": f"{part[0]}.{b64encode(json.dumps({**claims, 'x-auth-sub': 'root'}).encode())}.{part[2]}",
        "another key": _signed(head, claims, Ed25519PrivateKey.generate()),
        "another secret": assertion(
            gateway.settings, "main", ring=KeyRing.of([b"z" * 32]), x_auth_sub="EVIL"
        ),
        "alg none": f"{none}.{part[1]}.",
        "alg none with a signature": f"{none}.{part[1]}.{part[2]}",
        "a critical header put in": f"{b64encode(json.dumps({**head, 'crit': ['x'], 'x': 1}).encode())}.{part[1]}.{part[2]}",
        "no subject header": _signed(head, {k: v for k, v in claims.items() if k != "x-auth-sub"}),
        "empty subject header": _signed(head, {**claims, "x-auth-sub": ""}),
        "empty": "",
        "no JWT": "EVIL",
    }


def test_what_is_no_assertion_goes_to_the_processor(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    for what, token in _no_assertions(plain).items():
        asked.clear()
        assert (
            plain.client.get(
                "/", cookie=f"{plain.session('main')}; extproc-assertion-main={token}"
            ).status
            == 303
        ), what
        assert len(asked) == 1, what
        assert asked[0].application == "main", what
    assert world.upstream.received == []


def test_a_cookie_that_comes_twice_goes_to_the_processor(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    session, other = plain.session("main"), plain.session("main", SessionId.of(b"m" * 32))
    one, two = (
        plain.assertion("main", x_auth_sub="alice"),
        plain.assertion("main", x_auth_sub="mallory"),
    )
    for cookie in (
        f"{session}; {one}; {two}",
        f"{session}; {one};{one}",
        f"x=1; {two}; y=2; {session}; {one}",
        f"{session}; {other}; {one}",
        f"{other}; {session}; {one}",
        f"{session}; {session}; {one}",
    ):
        asked.clear()
        assert plain.client.get("/", cookie=cookie).status == 303, cookie
        assert len(asked) == 1
    assert plain.client.get("/", f"cookie: {session}; {one}", f"cookie: {two}").status == 303
    assert world.upstream.received == []


@pytest.mark.attack("COOK-27")
@pytest.mark.threat("late-answer")
def test_an_assertion_counts_beside_the_session_that_it_was_made_for_alone(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    """Findings 30 and its kind: an answer that comes late sets the assertion of who has signed
    out.
    """
    mine, other = SessionId.of(b"a" * 32), SessionId.of(b"b" * 32)
    late, own = plain.assertion("main", mine, x_auth_sub="alice"), plain.session("main", other)
    cut = f"extproc-session-main={mine.cookie[:20]}"
    for cookie in (
        late,
        f"{own}; {late}",
        f"{plain.session('wiki', mine)}; {late}",
        f"{cut}; {late}",
        f"{cut}.; {late}",
        f"extproc-session-main={mine.value}; {late}",
        f"__Host-{plain.session('main', mine)}; {late}",
        f"x={plain.session('main', mine)}; {late}",
        f"x=1,{plain.session('main', mine)}; {late}",
    ):
        asked.clear()
        assert plain.client.get("/", cookie=cookie).status == 303, cookie
        assert len(asked) == 1
    # jwt_authn leaves out empty pieces and what stands before a token, so what looks like the
    # payload may be another part
    name, _, token = late.partition("=")
    head, payload, signature = token.split(".")
    for odd in (
        f".{token}",
        f"!.{token}",
        f"..{token}",
        f"{head}..{payload}.{signature}",
        f"!!{token}",
        f"e.{token}",
        f"{token}.",
    ):
        for first in range(len(odd) - 20):
            if odd[first - 1 : first] == "." or first in (
                17,
                18,
                odd.find("."),
                odd.find(".") + 17,
                odd.find(".") + 18,
            ):
                session = f"extproc-session-main={odd[first : first + 20]}.{mine.value}"
                assert plain.client.get("/", cookie=f"{session}; {name}={odd}").status == 303, (
                    odd,
                    first,
                )
    assert world.upstream.received == []
    assert plain.client.get("/", cookie=f"{plain.session('main', mine)}; {late}").status == 200


PLANTED = [
    # a cookie that a browser takes from a neighbouring host, with EVIL in place of a pair that
    # would count by itself
    "prefs=dark,EVIL",
    "prefs=dark, EVIL",
    "prefs=dark,\tEVIL",
    "prefs=,EVIL,x",
    'prefs="EVIL"',
    'prefs="dark, EVIL"',
    "prefs=EVIL",
    "prefs= EVIL",
    "prefs=dark EVIL",
    "prefs=dark|EVIL",
    "prefs=dark&EVIL",
    "EVIL,x",
    "EVIL x",
    "xEVIL",
    "x-EVIL",
    "__host-EVIL",
    "__Secure-EVIL",
    "$Version=1,EVIL",
    "extproc-session-EVIL",
    "extproc-theme-EVIL",
    "extproc-data-main.00ff.0.0=EVIL",
    "extproc-login-main-00000000=EVIL",
    "extproc-login-main-00000000=1.EVIL",
]


@pytest.mark.attack("COOK-26")
@pytest.mark.parametrize("what", ["session", "assertion", "both", "login"])
def test_what_a_neighbouring_host_plants_is_nobody_s(
    plain: Gateway, world: World, asked: list[Asked], what: str
) -> None:
    """Finding 1: to the processor it is as if nothing of ours had come, and Envoy believes none of
    it.
    """
    mallory = SessionId.of(b"m" * 32)
    session, proof = (
        plain.session("main", mallory),
        plain.assertion("main", mallory, x_auth_sub="mallory"),
    )
    evil = {"session": session, "assertion": proof, "login": "extproc-login-main-00000001=abc"}
    pairs = [session, proof] if what == "both" else [evil[what]]
    for planted in PLANTED:
        for cookie in (
            "; ".join(planted.replace("EVIL", pair) for pair in pairs),
            planted.replace("EVIL", ",".join(pairs)),
        ):
            asked.clear()
            assert plain.client.get("/", cookie=cookie).status == 303, cookie
            handed_on = asked[0].headers.get(COOKIES, b"").decode()
            assert not any(pair in handed_on for pair in pairs) or planted.startswith(
                "extproc-session-EVIL"
            ), cookie
    assert world.upstream.received == []


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("planted-cookie")
def test_what_is_planted_takes_nothing_from_who_is_signed_in(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    mallory = SessionId.of(b"m" * 32)
    own = plain.cookie("main", x_auth_sub="alice")
    for planted in PLANTED:
        for evil in (
            plain.session("main", mallory),
            plain.assertion("main", mallory, x_auth_sub="mallory"),
        ):
            cookie = planted.replace("EVIL", evil)
            for jar in (f"{cookie}; {own}", f"{own}; {cookie}", f"a=1; {own};{cookie}; b=2"):
                assert plain.client.get("/", cookie=jar).status == 200, jar
    assert {
        value for received in world.upstream.received for value in received.values("x-auth-sub")
    } == {"alice"}
    assert asked == []
    # two lines are two lists of cookies
    world.upstream.received.clear()
    evil = plain.session("main", mallory)
    assert (
        plain.client.get("/", f"cookie: a=1,{evil}", f"cookie: {own}", "cookie: b=2").status == 200
    )
    assert world.upstream.received[0].values("cookie") == ["a=1; b=2"]
    assert plain.client.get("/", f"cookie: {own}, b=2", f"cookie: {evil}").status == 303, (
        "a value of ours has no comma"
    )


def test_on_https_what_lacks_the_prefix_of_a_host_is_not_ours(
    tls: Gateway, world: World, asked: list[Asked]
) -> None:
    mallory = SessionId.of(b"m" * 32)
    evil = f"{tls.session('main', mallory)}; {tls.assertion('main', mallory, x_auth_sub='mallory')}"
    plain = evil.replace("__Host-", "")
    assert tls.client.get("/", cookie=evil).status == 200, (
        "the prefix is what a neighbouring host cannot write"
    )
    for cookie in (plain, f"{plain}; extproc-login-main-00000000=abc"):
        asked.clear()
        assert tls.client.get("/", cookie=cookie).status == 303
        assert COOKIES not in asked[0].headers
    assert (
        tls.client.get("/", cookie=f"{plain}; {tls.cookie('main', x_auth_sub='alice')}").status
        == 200
    )
    assert world.upstream.received[-1].values("x-auth-sub") == ["alice"]


@pytest.mark.threat("linear-work")
def test_so_many_cookies_of_a_kind_are_handed_on_and_no_more(
    plain: Gateway, asked: list[Asked]
) -> None:
    """Findings 3 and 7: the newest logins, which browsers put last; an attempt, a session, an
    assertion each have room of their own.
    """
    logins = [f"extproc-login-main-{number:08x}=v{number}" for number in range(900)]
    session = plain.session("main", SessionId.of(b"x" * 32))
    data = [f"extproc-data-main.{number:016x}.0.0=d" for number in range(100)]
    plain.client.get("/x", cookie="; ".join([*logins, session, *data, *data]))
    handed_on = asked[0].headers[COOKIES].decode().split("; ")
    assert handed_on == [session, *data[:12], *logins[-48:]]


def test_the_name_in_a_cookie_of_the_applications_plants_nothing(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    evil, good = (
        plain.cookie("main", x_auth_sub="mallory"),
        plain.cookie("main", x_auth_sub="alice"),
    )
    evil = evil.partition("; ")[2]
    for cookie in (
        f"x={evil}; {good}",
        f"{good}; extproc-theme={evil}",
        f"x{evil}; {good}; a= {evil}",
    ):
        assert plain.client.get("/", cookie=cookie).status == 200, cookie
    assert [received.values("x-auth-sub") for received in world.upstream.received] == [
        ["alice"]
    ] * 3


@pytest.mark.threat("spoofed-identity")
@pytest.mark.parametrize("path", ["/x", "/public/", "/assets/"])
def test_nobody_but_envoy_hands_cookies_on(
    plain: Gateway, world: World, asked: list[Asked], path: str
) -> None:
    """The header in which they travel is taken from a client's request, and the application never
    sees it.
    """
    forged = f"{COOKIES}: {plain.cookie('main', x_auth_sub='mallory')}; extproc-session-main=s"
    plain.client.get(path, forged)
    plain.client.get(path, forged, cookie="extproc-session-main=own")
    assert [stream.headers.get(COOKIES) for stream in asked] == (
        [None, b"extproc-session-main=own"] if asked else []
    )
    assert len(asked) == {"/x": 2, "/public/": 2, "/assets/": 0}[path]
    assert all(received.values(COOKIES) == [] for received in world.upstream.received)
    assert len(world.upstream.received) == {"/x": 0, "/public/": 2, "/assets/": 2}[path]


def test_strip_cookies_false_leaves_the_cookie_header_as_it_came(
    world: World, asked: list[Asked]
) -> None:
    url = world.upstream.url
    applications: dict[str, object] = {
        "kept": {
            "hosts": ["app.test"],
            "upstream": url,
            "provider": "main",
            "strip_cookies": False,
        },
        "other": {
            "hosts": ["app.test"],
            "path_prefix": "/other/",
            "upstream": url,
            "provider": "main",
        },
    }
    with world.gateway(f"keeping-{time.monotonic_ns()}", applications) as gateway:
        sent = f"a=1; {gateway.cookie('kept')}; {gateway.cookie('other')}; b=2"
        assert gateway.client.get("/", cookie=sent).status == 200
        assert gateway.client.get("/other/", cookie=sent).status == 200
        both = f"{gateway.cookie('kept')}; {gateway.assertion('kept', x_auth_sub='mallory')}"
        assert gateway.client.get("/", cookie=both).status == 303, (
            "planted ones are found all the same"
        )
    assert [received.values("cookie") for received in world.upstream.received] == [
        [sent],
        ["a=1; b=2"],
    ]
    assert all(received.values(COOKIES) == [] for received in world.upstream.received)


def test_a_cookie_that_comes_twice_does_not_open_the_gate(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    one = plain.cookie("main")
    assert (
        plain.client.get("/?stub=silent", cookie=f"{one}; {plain.assertion('main')}").status == 403
    )
    assert world.upstream.received == []


@pytest.mark.threat("spoofed-identity")
def test_two_applications_on_one_host_take_only_their_own(
    plain: Gateway, world: World, asked: list[Asked]
) -> None:
    main, wiki = plain.cookie("main", x_auth_sub="alice"), plain.cookie("wiki", x_auth_sub="bob")
    plain.client.get("/", cookie=f"{main}; {wiki}")
    plain.client.get("/wiki/", cookie=f"{main}; {wiki}")
    assert [received.values("x-auth-sub") for received in world.upstream.received] == [
        ["alice"],
        ["bob"],
    ]
    assert [received.values("cookie") for received in world.upstream.received] == [[], []]
    assert asked == []
    assert plain.client.get("/wiki/", cookie=main).status == 303
    assert plain.client.get("/", cookie=wiki).status == 303
    assert [each.application for each in asked] == ["wiki", "main"]


def test_where_nobody_said_where_the_keys_are_every_key_of_the_ring_stands_in_the_configuration(
    world: World, asked: list[Asked]
) -> None:
    applications: dict[str, object] = {
        "main": {"hosts": ["app.test"], "upstream": world.upstream.url, "provider": "main"}
    }
    secret = ["n" * 40, SECRET]
    inside = {"keys": [], "processors": [f"127.0.0.1:{world.stub.port}"]}
    with world.gateway(
        f"ring-{time.monotonic_ns()}", applications, secret=secret, gateway=inside
    ) as gateway:
        for each in secret:
            token = assertion(gateway.settings, "main", ring=KeyRing.of([each.encode()]))
            sent = f"{gateway.session('main')}; extproc-assertion-main={token}"
            assert gateway.client.get("/", cookie=sent).status == 200
    assert asked == []


@pytest.mark.attack("REL-33")
def test_a_request_s_headers_have_the_bound_of_the_settings(
    world: World, asked: list[Asked]
) -> None:
    applications: dict[str, object] = {
        "main": {"hosts": ["app.test"], "upstream": world.upstream.url, "provider": "main"}
    }
    bound = {"max_request_headers_kb": 16}
    with world.gateway(f"bound-{time.monotonic_ns()}", applications, gateway=bound) as gateway:
        cookie = gateway.cookie("main")
        assert gateway.client.get("/", cookie=f"{cookie}; a={'x' * 15_000}").status == 200
        assert gateway.client.get("/", cookie=f"{cookie}; a={'x' * 17_000}").status == 431
        assert gateway.client.get("/", "a: " + "x" * 54_000, cookie=cookie).status == 431
    assert asked == []


NAVIGATION = ("sec-fetch-mode: navigate", "sec-fetch-dest: document", "accept: text/html")
PICTURE = ("sec-fetch-mode: no-cors", "sec-fetch-dest: image")
FRAME = ("sec-fetch-mode: navigate", "sec-fetch-dest: iframe", "accept: text/html")


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("planted-cookie")
@pytest.mark.parametrize(
    ("lines", "clears"), [(NAVIGATION, True), (PICTURE, False), (FRAME, False), ((), False)]
)
@pytest.mark.parametrize("path", ["/", "/oauth2/logout", "/public/x"])
def test_a_browser_with_too_many_cookies_is_asked_to_delete_them_by_a_page_that_its_user_opened(
    plain: Gateway, asked: list[Asked], path: str, lines: tuple[str, ...], clears: bool
) -> None:
    """A neighbouring host sets 16 cookies of 4 kB for the whole domain."""
    bomb = "; ".join(f"bomb{number}={'x' * 4088}" for number in range(16))
    reply = plain.client.get(path, *lines, cookie=bomb)
    assert (reply.status, asked) == (431, [])
    assert reply.get("clear-site-data") == ('"cookies"' if clears else None)
    assert (b"Too many cookies" in reply.body) and reply.get("cache-control") == "no-store"


@pytest.mark.attack("COOK-26")
@pytest.mark.threat("unasked-request")
def test_a_long_address_deletes_no_cookies(plain: Gateway, asked: list[Asked]) -> None:
    """Any page can have a browser open one."""
    reply = plain.client.get("/?" + "x" * 100_000, *NAVIGATION)
    # 0: Envoy closes the connection while the client is still sending.
    assert reply.status in (0, 431) and reply.get("clear-site-data") is None
