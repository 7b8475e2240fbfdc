"""Where Envoy, our Lua in it and our core read the same bytes, they decide the same, and as RFC
6265bis and the settings have it.

Each case goes through the real Envoy, several on one connection. What counts is what follows from
it: who is signed in, which cookie is ours, which application and which path of it, which host. See
test_core_agrees.py for what needs no Envoy, and a browser's own view.
"""

import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import pytest
from harness.corpora import Jar, authorities, paths, strict
from harness.envoy_parts import RING, Asked, Client, Received, Reply, parse
from harness.envoy_world import Gateway, World

from extproc.contract import COOKIES
from extproc.core.assertion import AssertionProfile, mint
from extproc.core.http import Request
from extproc.core.session import SessionId

LOGIN = "0a1b2c3d"
LIFE = 60  # seconds of an assertion
KINDS = tuple(f"extproc-{kind}-" for kind in ("session", "assertion", "login", "data", "used"))
TOGETHER = 40  # requests on one connection


def many(client: Client, requests: Sequence[bytes]) -> list[Reply]:
    """The answers, one for each request, on as few connections as Envoy closes. A connection that
    ends without one: status 0.
    """
    found: list[Reply] = []
    while len(found) < len(requests):
        with closing(socket.create_connection(("127.0.0.1", client.port), 60)) as plain:
            stream = (
                client.tls.wrap_socket(plain, server_hostname=client.host) if client.tls else plain
            )
            rest = b""
            for request in requests[len(found) : len(found) + TOGETHER]:
                stream.sendall(request)
                answer, rest = _one(stream, rest)
                found.append(parse(answer))
                if not answer or b"connection: close" in answer.lower():
                    break
            if stream is not plain:
                stream.close()
    return found


def _one(stream: socket.socket, data: bytes) -> tuple[bytes, bytes]:
    """One answer, and what came behind it."""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        length = next(
            (
                int(line[15:])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            ),
            0,
        )
        if end and len(body) >= length:
            return head + end + body[:length], body[length:]
        try:
            more = stream.recv(65536)
        except OSError:
            more = b""
        if not more:
            return data, b""
        data += more


def get(target: str, host: str, *lines: str) -> bytes:
    head = [f"GET {target} HTTP/1.1", f"host: {host}", *lines]
    return ("\r\n".join(head) + "\r\n\r\n").encode("latin-1")


# -- cookies ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Signs:
    """The names of one application's cookies, and what two users have in them. A login cookie of
    theirs need not open here.
    """

    session: str
    assertion: str
    login: str
    users: dict[str, tuple[str, str, str]]  # the values, in this order
    good_until: float  # what Envoy takes for longer it asks about: see identity.assertion_lifetime

    @classmethod
    def of(cls, gateway: Gateway) -> "Signs":
        prefix = (
            "__Host-" if gateway.settings.url("main").startswith("https") else ""
        ) + "extproc-"
        users = {}
        for user in ("alice", "mallory"):
            session = SessionId.of(user[:1].encode() * 32)
            users[user] = session.cookie, _assertion(gateway, session, user), (user * 10)[:30]
        return cls(
            f"{prefix}session-main",
            f"{prefix}assertion-main",
            f"{prefix}login-main-{LOGIN}",
            users,
            time.time() + LIFE - 20,
        )

    @property
    def jar(self) -> Jar:
        alice, mallory = (
            tuple(zip(self._names, self.users[user], strict=True)) for user in ("alice", "mallory")
        )
        return Jar(alice, mallory)

    @property
    def _names(self) -> tuple[str, str, str]:
        return self.session, self.assertion, self.login

    def user(self, value: str | None) -> str | None:
        """Whose a cookie's value is."""
        return next((user for user, values in self.users.items() if value in values), None)

    def mine(self, cookies: Sequence[tuple[str, str]], name: str) -> tuple[str | None, str | None]:
        """Whose the one cookie of this name is: of all, and of those that could be ours by their
        alphabet.
        """
        values = {value for found, value in cookies if found == name}
        good = {value for value in values if re.fullmatch(r"[A-Za-z0-9_.-]+", value)}
        whole, of_good = (
            self.user(next(iter(each))) if len(each) == 1 else None for each in (values, good)
        )
        return whole, of_good

    def short(self, text: str) -> str:
        for user, values in self.users.items():
            for value in values:
                text = text.replace(value, f"<{user}>")
        return text


def _assertion(gateway: Gateway, session: SessionId, user: str) -> str:
    profile = AssertionProfile(gateway.settings.url("main"), LIFE)
    token = mint(
        RING, profile, ("main",), session.handle, [("x-auth-sub", user)], int(time.time()), 1 << 40
    )
    assert token is not None
    return token


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one case."""

    lines: tuple[str, ...]
    application: Received
    asked: Asked | None  # None: Envoy let it through by itself

    def faults(self, signs: Signs) -> Iterator[str]:
        cookies = strict(self.lines)
        yield from self._fast_path(signs, cookies)
        if self.asked is not None:
            yield from self._processor(signs, cookies)
        yield from self._application(cookies)

    def _fast_path(self, signs: Signs, cookies: list[tuple[str, str]]) -> Iterator[str]:
        """An assertion counts when it is the only one and this cookie's whole value, beside the
        session that it was made for.
        """
        users = self.application.values("x-auth-sub")
        by_assertion, by_session = (
            signs.mine(cookies, name) for name in (signs.assertion, signs.session)
        )
        if users and (users[0] not in by_assertion or users[0] not in by_session or len(users) > 1):
            yield (
                f"Envoy lets it in as {users}; its assertion is {by_assertion}, its session "
                f"{by_session}"
            )
        # a header as a browser writes one, with nothing in it that looks planted
        plain = all(
            line == "; ".join(f"{name}={value}" for name, value in strict([line]))
            for line in self.lines
        )
        both = by_assertion == by_session and ",".join(self.lines).count("extproc-") == 2
        if plain and both and by_session[0] and not users and time.time() < signs.good_until:
            yield f"Envoy asks about it, and it is {by_session[0]}'s"

    def _processor(self, signs: Signs, cookies: list[tuple[str, str]]) -> Iterator[str]:
        assert self.asked is not None
        said = self.asked.headers.get(COOKIES)
        headers = (("cookie", said.decode("latin-1")),) if said is not None else ()
        core = Request("main", True, "GET", "/", "app.test", headers)
        for name in (signs.session, signs.login):
            whole, of_good = signs.mine(cookies, name)
            taken = signs.user(core.cookie(name))
            if taken != whole and (whole is not None or taken not in (None, of_good)):
                yield (
                    f"the processor takes {name} for {taken or 'nobody'}'s, and it is "
                    f"{whole or 'nobody'}'s"
                )
        names = {name for name, _ in cookies}
        yield from (
            f"the processor sees a cookie {name}, and there is none"
            for name, _ in core.cookies
            if name not in names
        )

    def _application(self, cookies: list[tuple[str, str]]) -> Iterator[str]:
        lines = (
            line.partition(":") for line in self.application.raw.decode("latin-1").split("\r\n")[1:]
        )
        got = strict([value.strip(" \t") for name, _, value in lines if name.lower() == "cookie"])
        yield from (
            f"the application sees {name}"
            for name, _ in got
            if name.removeprefix("__Host-").startswith(KINDS)
        )
        foreign = [pair for pair in cookies if "extproc-" not in "=".join(pair).lower()]
        rest = iter(got)
        if not all(pair in rest for pair in foreign):
            yield f"the application sees {got}, and {foreign} are its own"
        # of a cookie in which somebody planted one of ours, what stands before that may be left
        texts = ["=".join(pair) for pair in cookies]
        strange = [
            pair for pair in got if not any(text.startswith("=".join(pair)) for text in texts)
        ]
        yield from (f"the application sees {pair}, which nobody sent" for pair in strange)


def seen(gateway: Gateway, world: World, cases: Sequence[tuple[str, ...]]) -> list[Seen]:
    """Each case asked for as a public page: it always reaches the application, and the processor
    unless somebody is signed in.
    """
    world.stub.asked.clear()
    world.upstream.received.clear()
    requests = [
        get(f"/public/{number}", "app.test", *(f"cookie: {line}" for line in lines))
        for number, lines in enumerate(cases)
    ]
    statuses = [reply.status for reply in many(gateway.client, requests)]
    assert set(statuses) == {200}, statuses
    applications = {received.target: received for received in world.upstream.received}
    asked = {each.path: each for each in world.stub.asked}
    paths = [f"/public/{number}" for number in range(len(cases))]
    return [
        Seen(lines, applications[path], asked.get(path))
        for path, lines in zip(paths, cases, strict=True)
    ]


def rows(signs: Signs) -> list[tuple[str, ...]]:
    """Cases that were a hole once, or nearly."""
    alice, mallory = (
        ["=".join(pair) for pair in pairs] for pairs in (signs.jar.ours, signs.jar.planted)
    )
    mine = "; ".join(alice)
    found: list[tuple[str, ...]] = [(), ("a=1; b=2",), (mine,), tuple(alice), (f"a=1;{mine};b=2",)]
    for planted in mallory:
        for line in (
            f"prefs=dark,{planted}",
            f"a, {planted}",
            f"a=b,{planted},c=d",
            f",{planted}",
            f"a={planted}",
        ):
            found += [
                (line,),
                (f"{line}; {mine}",),
                (f"{mine}; {line}",),
                (line, mine),
                (mine, line),
            ]
    found += [(f"{planted}; {mine}",) for planted in mallory] + [
        (mine, planted) for planted in mallory
    ]
    for other in ("a=b,c=d", "a=b, c=d", "a=,", ","):
        found += [
            (f"{other}; {mine}",),
            (f"{mine}; {other}",),
            (other, mine),
            (mine, other),
            (f"{mine}; {other}", "e=f"),
        ]
    for one in alice:
        found += [(f"{one},x=y",), (f"{one},", "a=b"), (f"a=b;{one},{one}",), (one,)]
    found += [
        ("; ".join(alice[:2]),),
        (f"a=b; {alice[1]}; {alice[0]}; c=d",),
        (f"{alice[1]}; a=b", alice[0]),
        (f"a=b,c; {alice[1]}", alice[0]),
    ]
    # an assertion beside the session of somebody else, or of nobody
    found += [
        (f"{alice[0]}; {mallory[1]}",),
        (f"{mallory[0]}; {alice[1]}",),
        (alice[1],),
        (f"{alice[1]}; a=b",),
    ]
    return found


def check(
    gateway: Gateway, world: World, made: Callable[[Signs], Iterable[tuple[str, ...]]]
) -> None:
    signs = Signs.of(gateway)
    faults = [
        f"{one.lines}: {fault}"
        for one in seen(gateway, world, [*made(signs)])
        for fault in one.faults(signs)
    ]
    assert not faults, f"{len(faults)} faults: " + signs.short("\n".join(faults[:20]))


@pytest.mark.attack("COOK-12")
@pytest.mark.threat("one-login")
@pytest.mark.parametrize("scheme", ["plain", "tls"])
def test_what_a_neighbour_plants_is_nobody_s_sign_in(
    request: pytest.FixtureRequest, world: World, scheme: str
) -> None:
    gateway: Gateway = request.getfixturevalue(scheme)
    check(gateway, world, rows)


@pytest.mark.attack("COOK-14")
@pytest.mark.parametrize("scheme", ["plain", "tls"])
def test_envoy_and_the_processor_read_any_cookie_header_alike(
    request: pytest.FixtureRequest, world: World, scheme: str
) -> None:
    gateway: Gateway = request.getfixturevalue(scheme)
    for seed in range(5):
        check(gateway, world, lambda signs, seed=seed: signs.jar.headers(seed, 100))  # type: ignore[misc]
    check(gateway, world, lambda signs: ((line,) for line in signs.jar.kept(17, 100)))


# -- hosts and paths -------------------------------------------------------------------------------


@pytest.mark.attack("PATH-08")
@pytest.mark.threat("policy-of-the-route")
def test_envoy_and_the_processor_take_a_host_for_the_same(plain: Gateway, world: World) -> None:
    """Which application a Host belongs to: where Envoy serves one, the processor calls it by one of
    that application's hosts.
    """
    cases = [
        *dict.fromkeys(authorities(seed=5, count=400, host="app.test", port=plain.client.port))
    ]
    world.stub.asked.clear()
    world.upstream.received.clear()
    many(
        plain.client,
        [
            get(f"/{path}{n}", host)
            for n, host in enumerate(cases)
            for path in ("public/", "assets/")
        ],
    )
    faults = []
    for received in world.upstream.received:
        (host,) = received.values("host")
        core = Request("main", True, "GET", received.target, host)
        if core.host != "app.test":
            faults.append(
                f"{host!r} reaches the application, and the processor reads {core.host!r}"
            )
    assert not faults, f"{len(faults)} faults: " + "\n".join(faults[:20])
    assert world.upstream.received


@pytest.mark.attack("PATH-01")
@pytest.mark.threat("policy-of-the-route")
def test_envoy_and_the_processor_take_a_path_for_the_same(plain: Gateway, world: World) -> None:
    """Which path is an endpoint of ours and which is public: by Envoy's route, by the core, and by
    what an upstream may make of it.
    """
    words = (
        "oauth2",
        "callback",
        "wiki",
        "pub",
        "public",
        "robots.txt",
        "private",
        "assets",
        "logout",
        "login",
    )
    cases = [*dict.fromkeys(paths(seed=7, count=1200, words=words))]
    world.stub.asked.clear()
    world.upstream.received.clear()
    targets = [
        f"{case}{'&' if '?' in case else '?'}n={n}&stub=continue" for n, case in enumerate(cases)
    ]
    replies = many(plain.client, [get(target, "app.test") for target in targets])
    numbers = {
        int(each.path.rpartition("n=")[2].partition("&")[0]): each for each in world.stub.asked
    }
    faults = []
    for number, asked in numbers.items():
        path = asked.path.partition("?")[0]
        prefix = "/wiki/" if asked.application == "wiki" else "/"
        ours = path.startswith(prefix + "oauth2/")
        status = replies[number].status
        if ours != (status == 404):
            faults.append(
                f"{cases[number]!r}: {status} of Envoy's, and the core takes {path!r} for "
                f"{'an endpoint' if ours else 'a page'}"
            )
        if asked.public and _folded(path) not in ("/public", "/robots.txt", "/wiki/pub"):
            faults.append(
                f"{cases[number]!r} is public as {path!r}, which a server may read as "
                f"{_folded(path)!r}"
            )
        if (asked.application == "wiki") != path.startswith("/wiki/"):
            faults.append(f"{cases[number]!r} is {asked.application}'s as {path!r}")
    assert not faults, f"{len(faults)} faults: " + "\n".join(faults[:20])
    assert len(numbers) > 300 and any(each.public for each in numbers.values())


def _folded(path: str) -> str:
    """The public prefix that is left when a server decodes, cuts parameters off and resolves dots;
    the whole where there is none.
    """
    from urllib.parse import unquote

    resolved: list[str] = []
    for segment in unquote(unquote(path)).replace("\\", "/").split("/"):
        name = segment.partition(";")[0]
        if name == "..":
            resolved = resolved[:-1]
        elif name not in ("", "."):
            resolved.append(name)
    whole = "/" + "/".join(resolved)
    return next(
        (
            p
            for p in ("/public", "/robots.txt", "/wiki/pub")
            if whole == p or whole.startswith(p + "/")
        ),
        whole,
    )
