"""Counts under callgrind what the processor does with each shape of foreign input.

    valgrind ... python tests/attack/counting.py FOLDER HEAD

HEAD: the largest head of a request, in bytes, that Envoy passes on. Prints a JSON list for each
place and shape: [place, shape, none, half, whole], the instructions for no input, for half of the
largest and for all of it. See test_work_in_the_processor.py.
"""

import contextlib
import gc
import json
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import trio
import trio.testing
from harness.callgrind import Own
from harness.fault_at_await import World
from harness.shapes import COOKIES, DOCUMENTS, HEADS, OTHERS, Head, filled, with_members
from harness.tokens import (
    ENTROPY_BYTES,
    ISSUER,
    NOW,
    RING,
    Signer,
    application,
    client,
    cookie_header,
    id_token_claims,
    key_set,
    pending,
    public,
    request,
    session,
)

from extproc.core.decide import admit
from extproc.core.device import Device
from extproc.core.encoding import b64encode
from extproc.core.errors import Refusal
from extproc.core.http import Request
from extproc.core.oidc.authorization import AuthorizationResponse
from extproc.core.oidc.claims import Claims
from extproc.core.oidc.id_token import IDToken, UserInfo, claims_of_userinfo, verify_id_token
from extproc.core.oidc.jose import MAX_TOKEN, KeySet
from extproc.core.oidc.logout_token import verify_logout_token
from extproc.core.oidc.metadata import ProviderMetadata
from extproc.core.oidc.token import TokenResponse
from extproc.core.oidc.token_error import code_error, refresh_error
from extproc.core.provider_logout import MAX_BODY, posted
from extproc.core.session_cookie import session_cookies
from extproc.core.session_index import open_entry
from extproc.core.session_record import MAX_SEALED, from_record, to_record
from extproc.metrics import Metrics
from extproc.runtime import control
from extproc.settings import Limits

Work = Callable[[], object]
# Place, shape, most bytes, and the function of a size whose work is counted.
Case = tuple[str, str, int, Callable[[int], Work]]
# A sixteenth of the limits for provider answers and sessions: enough to show work that is not
# linear, because callgrind is slow.
BODY = Limits().response_bytes // 16
CLAIMS = MAX_SEALED // 16
APP = application()
KEYS = key_set(public("RS256"))
SESSION = session()
FETCH = {"sec_fetch_mode": "cors", "sec_fetch_dest": "empty", "accept": "application/json"}

# -- requests, through the whole server ------------------------------------------------------------

OWN = f"{APP.cookies.session}={SESSION.id.cookie}"
LOGIN = cookie_header(APP, pending())
ASKED: dict[str, dict[str, Any]] = {
    "a page, nobody": {"target": "/"},
    "a script's call, nobody": {"target": "/", **FETCH},
    "a public page, signed in": {"target": "/", "public": True, "cookie": OWN},
    "a page, signed in": {"target": "/", "cookie": OWN},
    "login": {"target": "/oauth2/login?return_to=/"},
    "callback": {"target": f"/oauth2/callback?code=1&state={pending().state}&", "cookie": LOGIN},
    "logout": {"target": "/oauth2/logout?", "cookie": OWN},
    "own sessions": {"target": "/oauth2/sessions?", "cookie": OWN},
    "frontchannel-logout": {
        "target": f"/oauth2/frontchannel-logout?iss={ISSUER}&sid=1&",
        "cookie": OWN,
    },
    "backchannel-logout": {"target": "/oauth2/backchannel-logout?", "method": "POST"},
}


# Cookies are read in one way at every place. What happens to the product's own differs.
SOME_COOKIES = {
    shape: COOKIES[shape]
    for shape in (
        "many sessions of one name",
        "many logins as ours are",
        "many logins of __Host-",
        "commas",
    )
}
QUERIES = {
    shape: OTHERS[shape]
    for shape in ("parameters", "percent", "fields of a query", "one field again", "empty fields")
}


def asked(place: str, head: Head) -> Request:
    """The request that the processor receives."""
    made = dict(ASKED[place])
    cookie = made.pop("cookie", "")
    target = made.pop("target") + ("" if head.path == "x" else head.path)
    base = request(target, authority="app.example" + head.authority, **made)
    own = (("cookie", cookie),) if cookie else ()
    named = {name for name, _ in head.headers}
    kept = tuple(
        (name, value) for name, value in base.headers if name not in named or name == "cookie"
    )
    return Request(
        "app", base.public, base.method, base.target, base.authority, (*kept, *own, *head.headers)
    )


def heads(world: World, size: int) -> Iterator[Case]:
    def made(place: str, shape: str, size: int) -> Work:
        return partial(world.ask, asked(place, HEADS[shape](size)))

    for place in ASKED:
        for shape in HEADS if place == "a page, nobody" else (SOME_COOKIES | QUERIES):
            yield place, shape, size, partial(made, place, shape)


# -- documents -------------------------------------------------------------------------------------

METADATA = {
    name: f"{ISSUER}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")
}
TOKENS = {"token_type": "Bearer", "access_token": "a", "id_token": "a.b.c"}
KNOWN = IDToken("alice", None, None, None, (), {})


def _metadata(body: bytes) -> object:
    return ProviderMetadata.parse(with_members(body, issuer=ISSUER, **METADATA), ISSUER)


def _userinfo(body: bytes) -> object:
    return claims_of_userinfo(
        client(), UserInfo("application/json", with_members(body, sub="alice")), "alice", KEYS
    )


def _session_of(claims: bytes) -> None:
    """From claims to headers, an assertion and a record, and back."""
    values = json.loads(claims)
    spoken = Claims(
        {
            "sub": "alice",
            "groups": values.get("a", values),
            "email": values.get("a"),
            "name": values,
        }
    )
    made = session(claims=spoken)
    admit(APP, made, NOW)
    with contextlib.suppress(Refusal):
        session_cookies(APP, request(), made, NOW, ENTROPY_BYTES)
    with contextlib.suppress(Refusal):
        from_record(APP, made.id, to_record(APP, made, Device(), ENTROPY_BYTES * 2))


READERS: dict[str, tuple[int, Callable[[bytes], object]]] = {
    "metadata": (BODY, _metadata),
    "key set": (BODY, lambda body: KeySet.parse(with_members(body, keys=[public("RS256")]))),
    "token response": (BODY, lambda body: TokenResponse.parse(with_members(body, **TOKENS))),
    "token error": (BODY, code_error),
    "refresh error": (BODY, partial(refresh_error, 400)),
    "UserInfo": (BODY, _userinfo),
    "claims of a session": (CLAIMS, _session_of),
    "a worker's message": (BODY, control.decode),
}
# Plain JSON costs the same everywhere: each reader gets these shapes, and one reader all.
CLAIMED = (
    "not ASCII",
    "many keys",
    "many objects",
    "many deep objects",
    "many long numbers",
    "digits of a number",
    "escapes",
)
SOME = ("one text", "many keys", "many small numbers", "not ASCII", "deep lists")


def documents() -> Iterator[Case]:
    for place, (most, read) in READERS.items():
        for shape, made in DOCUMENTS.items():
            if (
                shape in (CLAIMED if place == "claims of a session" else SOME)
                or place == "UserInfo"
            ):
                yield (
                    place,
                    shape,
                    most,
                    lambda size, read=read, made=made: partial(read, made(size)),
                )  # type: ignore[misc]


def _keys(**members: Callable[[int], object]) -> Callable[[int], bytes]:
    return lambda size: json.dumps(
        {"keys": [public("RS256") | {n: make(size) for n, make in members.items()}]}
    ).encode()


def _many_keys(size: int) -> bytes:
    one = public("RS256")
    return json.dumps({"keys": [{**one, "kid": str(n)} for n in range(size // 500)]}).encode()


def _text(size: int) -> str:
    return "A" * size


# Members of a key set: numbers of any length, and more keys than any provider has.
KEY_SETS: dict[str, Callable[[int], bytes]] = {
    "many keys of ours": _many_keys,
    "a giant modulus": _keys(n=lambda size: "z" + "A" * (size // 4 * 4) + "ab"),
    "a giant exponent": _keys(e=lambda size: "z" + "A" * (size // 4 * 4) + "ab"),
    "giant both": _keys(
        n=lambda size: "z" + "A" * (size // 8 * 4) + "ab",
        e=lambda size: "z" + "A" * (size // 8 * 4),
    ),
    "a giant point": _keys(kty=lambda _: "EC", crv=lambda _: "P-256", x=_text, y=lambda _: "AAAA"),
    "a long kid": _keys(kid=_text),
    "many operations": _keys(key_ops=lambda size: ["sign"] * (size // 8)),
    "no keys": lambda size: b'{"keys":[' + filled("#", size, ",").encode() + b"]}",
    "deep keys": lambda size: (
        b'{"keys":[' + filled('{"kty":' * 300 + "1" + "}" * 300, size, ",").encode() + b"]}"
    ),
}


def keys() -> Iterator[Case]:
    for shape, made in KEY_SETS.items():
        yield "key set", shape, BODY, lambda size, made=made: partial(KeySet.parse, made(size))  # type: ignore[misc]


# -- tokens ----------------------------------------------------------------------------------------

TOKEN = MAX_TOKEN // 4 * 3 - 1000  # bytes of claims that a token has room for


@cache
def _signed(shape: str, size: int) -> str:
    body = with_members(DOCUMENTS[shape](size), **id_token_claims())
    return Signer().sign(body if size else id_token_claims())


UNSIGNED: dict[str, Callable[[int], str]] = {
    "a long header": lambda size: (
        b64encode(b'{"alg":"RS256","kid":"' + b"a" * size + b'"}') + ".e30.AAAA"
    ),
    "many members of a header": lambda size: (
        b64encode(b"{" + filled('"k#":1', size, ",").encode() + b"}") + ".e30.AAAA"
    ),
    "a long signature": lambda size: b64encode(b'{"alg":"RS256"}') + ".e30." + "A" * size,
    "dots": lambda size: "." * size,
    "many segments": lambda size: filled("a.", size),
    "blanks at its end": lambda size: "a.b.c" + " " * size,
}


def tokens() -> Iterator[Case]:
    def verified(shape: str, size: int) -> Work:
        return partial(
            verify_id_token, client(), _signed(shape, size), "at", pending().nonce, KEYS, NOW
        )

    def logged_out(make: Callable[[int], str], size: int) -> Work:
        body = b"logout_token=" + make(size).encode()
        return lambda: verify_logout_token(client(), posted(body).token, KEYS, NOW)

    for shape in DOCUMENTS:
        yield "ID token", shape, TOKEN, partial(verified, shape)
    for shape, make in UNSIGNED.items():
        yield "logout token", shape, TOKEN, partial(logged_out, make)


# -- forms, queries, records -----------------------------------------------------------------------

FORMS = {"fields": ("a#=b", "&"), "empty fields": ("&", ""), "percent": ("%41", ""), "plus": ("+", ""), "half of percent": ("%", ""), "not ASCII": ("%c3%a9", "")}  # fmt: skip


def texts() -> Iterator[Case]:
    def form(unit: str, between: str, size: int) -> Work:
        return partial(posted, b"logout_token=" + filled(unit, size, between).encode())

    def query(unit: str, between: str, size: int) -> Work:
        return partial(AuthorizationResponse.parse, "code=" + filled(unit, size, between))

    def device(name: str, unit: str, size: int) -> Work:
        return partial(Device.of, request(**{name: filled(unit, size) or "a"}), 1)

    def record(size: int) -> Work:
        stored = to_record(APP, SESSION, Device(), ENTROPY_BYTES * 2)
        return lambda: (
            open_entry(RING, stored.key, b"A" * size),
            RING.open("A" * size, None, limit=2_000_000),
        )  # type: ignore[arg-type]

    for shape, (unit, between) in FORMS.items():
        yield "body of a logout", shape, MAX_BODY - 20, partial(form, unit, between)
        yield "query of a callback", shape, 16_000, partial(query, unit, between)
    for name, unit in (("user_agent", "Chrome/ "), ("user_agent", "a"), ("x_forwarded_for", "10.0.0.1, "), ("x_forwarded_for", "1")):  # fmt: skip
        yield "device", f"{name} {unit}", 50_000, partial(device, name, unit)
    yield "record", "garbage", BODY, record


# -- the run ---------------------------------------------------------------------------------------


async def _work(own: Own, work: Work) -> int:
    own.zero()
    with contextlib.suppress(Refusal, ValueError, KeyError, TypeError, RecursionError):
        done = work()
        if isinstance(done, Awaitable):
            await done
    return own.count()


async def _all(own: Own, head: int, only: str) -> None:
    world = World(APP, Metrics())
    known: dict[tuple[str, str], int] = {}
    async with trio.open_nursery() as nursery:
        world.open(nursery)
        await world.sessions.create(APP, request(), SESSION, Device(), None)
        made = [
            (place, shape, [make(size) for size in (0, most // 2, most)])
            for place, shape, most, make in (
                *heads(world, head),
                *documents(),
                *keys(),
                *tokens(),
                *texts(),
            )
            if only in f"{place}: {shape}"
        ]
        # It comes at random.
        gc.disable()
        own.begin()
        for place, shape, (nothing, half, whole) in made:
            if (place, shape) not in known:
                # The first run fills caches.
                await _work(own, nothing)
                known[place, shape] = await _work(own, nothing)
            counted = [await _work(own, work) for work in (half, whole)]
            print(json.dumps([place, shape, known[place, shape], *counted]), flush=True)
        nursery.cancel_scope.cancel()


def main(folder: str, head: str, only: str = "") -> None:
    warnings.simplefilter("ignore")
    trio.run(
        _all, Own(Path(folder)), int(head), only, clock=trio.testing.MockClock(autojump_threshold=0)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
