"""API callers through a real Envoy and a real processor: an access token decides a request, alone,
and whatever else is presented in its place is refused.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from harness.browser import WebUser
from harness.envoy import envoys
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until
from harness.raw_http import sent
from harness.tokens import Signer, public

from extproc.settings import load

RULES: list[dict[str, Any]] = [
    {"name": "machines", "paths": ["/api/"], "accept": ["bearer"]},
    {"name": "both", "paths": ["/both/"], "accept": ["bearer", "session"]},
    {
        "name": "leaflets",
        "paths": ["/docs/"],
        "login": "optional",
        "accept": ["bearer", "session"],
    },
    {
        "name": "orders",
        "paths": ["/orders/"],
        "methods": ["GET", "POST"],
        "accept": ["bearer"],
        "allow": {"scopes": ["orders:read orders:list", "orders:admin"]},
    },
    {
        "name": "keepers",
        "paths": ["/keep/"],
        "accept": ["bearer"],
        "allow": {"groups": ["keepers"]},
    },
    {
        "name": "strong",
        "paths": ["/vault/"],
        "accept": ["bearer"],
        "allow": {"acr_values": ["gold"]},
    },
]
# Paths whose rules accept tokens: alone, beside a session, and where nobody has to sign in.
OPEN = ("/api/x", "/both/x", "/docs/x")


def applications(stack: Stack) -> dict[str, Any]:
    """The application app, and another one whose audience is not app's."""
    beside = {"hosts": ["localhost"], "upstream": stack.app.url, "provider": "main"}
    return {
        "app": {"rules": RULES},
        "given": {
            **beside,
            "path_prefix": "/given/",
            "forward_bearer": True,
            "csrf": "same_origin",
            "rules": [{"name": "given", "paths": ["/given/"], "accept": ["bearer"]}],
        },
    }


@pytest.fixture(scope="module", params=envoys())
def running(request: pytest.FixtureRequest) -> Iterator[Stack]:
    def settings(stack: Stack) -> dict[str, Any]:
        # At DEBUG no refusal is left out, however many there are in a second.
        log = {"format": "json", "level": "DEBUG"}
        return {"applications": applications(stack), "log": log}

    with Stack(FakeProvider(), settings=settings, envoy=envoys()[request.param]) as stack:
        yield stack


@pytest.fixture
def user(stack: Stack) -> Iterator[WebUser]:
    with stack.user() as user:
        yield user


Change = dict[str, Any]


def token(
    stack: Stack, header: Change | None = None, signer: Signer | None = None, **claims: Any
) -> str:
    """An access token (RFC 9068) for app, with changes; None leaves a claim out."""
    now = int(time.time())
    whole = {
        "iss": stack.provider.issuer,
        "sub": "carol",
        "client_id": "machine",
        "aud": stack.url("/"),
        "iat": now,
        "exp": now + 300,
        "jti": "one",
        **claims,
    }
    present = {name: value for name, value in whole.items() if value is not None}
    return (signer or Signer()).sign(present, **{"typ": "at+jwt", **(header or {})})


def call(
    stack: Stack, path: str, *tokens: str, method: str = "GET", cookies: str = "", **headers: str
) -> httpx.Response:
    """A request of a script. tokens: values of Authorization, a line each."""
    lines = [(name.replace("_", "-"), value) for name, value in headers.items()]
    lines += [("authorization", value) for value in tokens]
    lines += [("cookie", cookies)] if cookies else []
    return httpx.request(method, stack.url(path), headers=lines, trust_env=False, verify=False)


def bearer(stack: Stack, **claims: Any) -> str:
    return f"Bearer {token(stack, **claims)}"


def challenge(answer: httpx.Response) -> str:
    """The one challenge of an answer."""
    (value,) = answer.headers.get_list("www-authenticate")
    return value


def logged(stack: Stack) -> list[str]:
    """The reasons of the processor's log so far."""
    text = stack.extproc.output()
    whole = (line for line in text.splitlines(keepends=True) if line.endswith("\n"))
    return [json.loads(line).get("reason", "") for line in whole]


def subjects(stack: Stack) -> list[str | None]:
    """Who the application was told makes each request."""
    return [request.get("x-auth-sub") for request in stack.app.requests]


def signed_in(stack: Stack, user: WebUser) -> str:
    """The cookies of a browser that is signed in, with a session and an assertion."""
    assert user.go(stack.url("/private")).status_code == 200
    stack.app.requests.clear()
    return user.cookies.header(stack.url("/private"))


# -- what passes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OPEN)
def test_a_token_admits_with_the_identity_of_its_claims_and_stays_here(stack, path):
    claims = {"email": "c@example.com", "email_verified": True, "groups": ["a", "b"]}
    for _ in range(2):
        assert call(stack, path, bearer(stack, **claims)).status_code == 200
    for received in stack.app.requests:
        assert received.get("x-auth-sub") == "carol"
        assert received.get("x-auth-email") == "c@example.com"
        assert received.get("x-auth-groups") == "a,b"
        assert received.get("authorization") is None


@pytest.mark.attack("HDR-01")
def test_no_identity_header_of_the_client_s_own_is_believed(stack):
    forged = {"x_auth_sub": "root", "x_auth_email": "root@example.com", "x_auth_groups": "admins"}
    assert call(stack, "/api/x", bearer(stack), **forged).status_code == 200
    (received,) = stack.app.requests
    assert received.values("x-auth-sub") == ["carol"]
    assert received.get("x-auth-email") is None and received.get("x-auth-groups") is None


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR"])
def test_the_scheme_counts_in_any_case(stack, scheme):
    assert call(stack, "/api/x", f"{scheme} {token(stack)}").status_code == 200
    assert call(stack, "/both/x", f"{scheme} nonsense").status_code == 401
    assert subjects(stack) == ["carol"]


def test_the_application_gets_the_token_where_the_settings_say_so(stack):
    mine = f"Bearer {token(stack, aud=stack.url('/given/'))}"
    assert call(stack, "/given/x", mine).status_code == 200
    (received,) = stack.app.requests
    assert received.values("authorization") == [mine] and received.get("x-auth-sub") == "carol"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "DELETE"])
def test_every_method_needs_a_token_of_its_own(stack, method):
    assert call(stack, "/api/x", method=method).status_code == 401
    assert call(stack, "/api/x", bearer(stack), method=method).status_code == 200
    assert [received.method for received in stack.app.requests] == [method]


def test_an_upgrade_and_an_event_stream_are_decided_by_the_token_as_well(stack):
    upgrade = {"connection": "Upgrade", "upgrade": "websocket"}
    socket = {"sec_websocket_key": "eHh4eHh4eHh4eHh4eHh4eA==", "sec_websocket_version": "13"}
    for path in OPEN:
        bad = call(stack, path, "Bearer nonsense", **upgrade, **socket)
        assert bad.status_code == 401
        bad = call(stack, path, "Bearer nonsense", accept="text/event-stream")
        assert bad.status_code == 401
    assert stack.app.requests == []
    head = [
        *(f"{name}: {value}" for name, value in upgrade.items()),
        f"Authorization: {bearer(stack)}",
    ]
    head += [f"{name.replace('_', '-')}: {value}" for name, value in socket.items()]
    lines = ["GET /api/x HTTP/1.1", f"Host: localhost:{stack.port}", *head, "", ""]
    assert b" 101 " in sent(stack.port, "\r\n".join(lines).encode(), until=b"\r\n\r\n")
    live = {"accept": "text/event-stream", "authorization": bearer(stack)}
    with (
        httpx.Client(trust_env=False) as client,
        client.stream("GET", stack.url("/api/x?echo-events=1"), headers=live) as events,
    ):
        assert events.status_code == 200 and next(events.iter_raw())
    assert subjects(stack) == ["carol"] * 2
    assert [received.get("authorization") for received in stack.app.requests] == [None] * 2


# -- one credential a request ----------------------------------------------------------------------


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("value", ["Bearer nonsense", "bearer e30.e30.e30", "Bearer", "Bearer a b"])
def test_a_bad_token_is_never_the_user_of_the_session_beside_it(stack, user, path, value):
    """The session is good, and its assertion alone would admit the request in Envoy."""
    cookies = signed_in(stack, user)
    assert (
        call(stack, path, cookies=cookies, accept="text/html").status_code != 401 or path == OPEN[0]
    )
    stack.app.requests.clear()
    answer = call(stack, path, value, cookies=cookies, accept="text/html")
    assert answer.status_code in (400, 401) and stack.app.requests == []
    assert answer.status_code == 401 or value in ("Bearer", "Bearer a b")
    assert challenge(answer).startswith("Bearer ") and "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", ["/both/x", "/docs/x"])
def test_a_good_token_counts_and_the_session_beside_it_does_not(stack, user, path):
    cookies = signed_in(stack, user)
    streams = stack.streams()
    assert call(stack, path, bearer(stack), cookies=cookies).status_code == 200
    # Envoy's fast path is for the session alone.
    assert subjects(stack) == ["carol"] and stack.streams() == streams + 1
    assert call(stack, path, cookies=cookies).status_code == 200
    assert subjects(stack) == ["carol", "alice"]


def test_a_session_is_nothing_where_tokens_alone_count(stack, user):
    cookies = signed_in(stack, user)
    for accept in ("text/html", "application/json"):
        answer = call(stack, "/api/x", cookies=cookies, accept=accept)
        assert answer.status_code == 401 and challenge(answer).startswith("Bearer ")
    assert stack.app.requests == [] and not stack.provider.requests_to("/auth")[1:]


TWICE: list[Callable[[str], tuple[str, ...]]] = [
    lambda good: (good, good),
    lambda good: (good, "Bearer nonsense"),
    lambda good: ("Bearer nonsense", good),
    lambda good: ("Basic eDp5", good),
    lambda good: (good, "Basic eDp5"),
    lambda good: (f"{good}, {good}",),
    lambda good: (f"{good},{good}",),
    lambda good: (f"Basic eDp5, {good}",),
    lambda good: (f"Basic eDp5,{good}",),
    lambda good: (f"{good}, Basic eDp5",),
    lambda good: ("Negotiate", good),
    lambda good: (f"{good}, Negotiate",),
]


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("twice", TWICE)
def test_two_credentials_are_none(stack, user, path, twice):
    cookies = signed_in(stack, user)
    for more in ("", cookies):
        answer = call(stack, path, *twice(bearer(stack)), cookies=more)
        assert answer.status_code == 400, answer.headers
    assert stack.app.requests == []


@pytest.mark.parametrize("path", OPEN)
def test_a_token_in_the_query_is_a_part_of_the_address_and_nothing_else(stack, path):
    target = f"{path}?access_token={token(stack)}"
    answer = call(stack, target)
    if path == "/docs/x":
        assert answer.status_code == 200 and subjects(stack) == [None]
        return
    assert answer.status_code in (303, 401) and stack.app.requests == []
    # Beside a token in the header the application gets the address as it was written.
    target = f"{path}?access_token={token(stack, sub='mallory')}"
    assert call(stack, target, bearer(stack)).status_code == 200
    assert subjects(stack) == ["carol"] and stack.app.requests[0].target == target


@pytest.mark.parametrize(
    "value", ["Basic eDp5", 'Digest username="x", realm="y"', "Negotiate x", "DPoP x"]
)
def test_another_scheme_is_no_token(stack, user, value):
    answer = call(stack, "/api/x", value)
    assert answer.status_code == 401 and challenge(answer).startswith("Bearer ")
    # Where sessions count as well, the session decides, and nobody is somebody by Basic.
    assert call(stack, "/both/x", value).status_code == 401
    assert call(stack, "/docs/x", value).status_code == 200 and subjects(stack) == [None]


@pytest.mark.parametrize("path", ["/private", "/oauth2/userinfo", "/oauth2/sessions"])
def test_no_token_counts_where_no_rule_accepts_it(stack, path):
    answer = call(stack, path, bearer(stack), accept="application/json")
    assert answer.status_code == 401 and stack.app.requests == []
    assert "Bearer" not in answer.headers.get("www-authenticate", "")


# -- what is no access token for this application --------------------------------------------------


def other_key(stack: Stack) -> str:
    """A token of somebody who has a key of the same name."""
    return token(stack, {"kid": "RS256-1"}, Signer(name="other"))


def symmetric(stack: Stack) -> str:
    """HS256, with what an attacker has: the public key."""
    return token(stack, {"alg": "HS256"})


def id_token(stack: Stack) -> str:
    """An ID token of a login here, as the provider signs it."""
    return Signer().sign({"nonce": "n", **id_claims(stack)})


def id_claims(stack: Stack) -> Change:
    now = int(time.time())
    issuer = stack.provider.issuer
    return {"iss": issuer, "sub": "carol", "aud": "gateway", "iat": now, "exp": now + 300}


BAD: dict[str, tuple[Callable[[Stack], str], str]] = {
    "of no shape": (lambda stack: "opaque", ""),
    "alg none": (lambda s: token(s, {"alg": "none"}), "algorithm"),
    "HS256": (symmetric, "algorithm"),
    "another alg of the same key": (lambda s: token(s, signer=Signer("PS256")), "algorithm"),
    "an ID token": (id_token, "type"),
    "an ID token that says at+jwt": (
        lambda s: Signer().sign(id_claims(s), typ="at+jwt"),
        "id_token",
    ),
    "with a nonce": (lambda s: token(s, nonce="n"), "id_token"),
    "without typ": (lambda s: token(s, {"typ": None}), "type"),
    "typ JWT": (lambda s: token(s, {"typ": "JWT"}), "type"),
    "a logout token": (lambda s: token(s, {"typ": "logout+jwt"}), "type"),
    "a refresh token": (lambda s: token(s, typ="Refresh"), "type"),
    "another issuer": (lambda s: token(s, iss="https://evil.example"), "issuer"),
    "the issuer with a slash": (lambda s: token(s, iss=s.provider.issuer + "/"), "issuer"),
    "without issuer": (lambda s: token(s, iss=None), ""),
    "another application's": (lambda s: token(s, aud=s.url("/given/")), "audience"),
    "another host's": (lambda s: token(s, aud="https://evil.example/"), "audience"),
    "without audience": (lambda s: token(s, aud=None), "audience"),
    "our client as one audience": (lambda s: token(s, aud=[s.url("/"), "gateway"]), "id_token"),
    "expired": (lambda s: token(s, exp=int(time.time()) - 3600), "expired"),
    "without expiry": (lambda s: token(s, exp=None), "expired"),
    "not yet": (lambda s: token(s, nbf=int(time.time()) + 3600), "not_before"),
    "of the future": (lambda s: token(s, iat=int(time.time()) + 3600), "issued_at"),
    "without subject": (lambda s: token(s, sub=None), "subject"),
    "bound to a key": (lambda s: token(s, cnf={"jkt": "x"}), "sender_constrained"),
    "with crit": (lambda s: token(s, {"crit": ["x"], "x": 1}), "header"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_access_token_for_this_application_is_401(stack, name):
    made, check = BAD[name]
    before = len(logged(stack))
    for path in OPEN:
        answer = call(stack, path, f"Bearer {made(stack)}", accept="application/json")
        assert answer.status_code == 401 and 'error="invalid_token"' in challenge(answer)
        assert stack.app.requests == []
        # Which check failed is nobody's business but the operator's.
        assert not re.search(r"signature|audience|issuer|expired", challenge(answer))
    found = [reason for reason in logged(stack)[before:] if reason.startswith("bearer_token")]
    assert len(found) == len(OPEN) and (not check or set(found) == {f"bearer_token_{check}"})


UNSIGNED: dict[str, Callable[[Stack], str]] = {
    "by another key": other_key,
    "by nobody": lambda stack: token(stack).rpartition(".")[0] + ".",
    "of another token": lambda stack: (
        f"{token(stack, sub='root').rpartition('.')[0]}.{token(stack).rpartition('.')[2]}"
    ),
}


@pytest.mark.parametrize("name", UNSIGNED)
def test_a_token_that_the_provider_did_not_sign_admits_nobody(stack, user, name):
    """It is 401, or 503 while it is too early to look for newer keys, which may have signed it."""
    cookies = signed_in(stack, user)
    for path in OPEN:
        answer = call(stack, path, f"Bearer {UNSIGNED[name](stack)}", cookies=cookies)
        assert answer.status_code in (401, 503) and stack.app.requests == []
        if answer.status_code == 401:
            assert 'error="invalid_token"' in challenge(answer)
        else:
            assert answer.headers["retry-after"]


def test_a_token_for_one_application_is_nothing_at_another_one_that_knows_it(stack):
    """It was accepted at the one, so it is in the table of known tokens."""
    mine = f"Bearer {token(stack)}"
    assert call(stack, "/api/x", mine).status_code == 200
    assert call(stack, "/given/x", mine).status_code == 401
    assert len(stack.app.requests) == 1


def test_a_token_counts_as_long_as_it_is_good_and_no_longer(stack):
    """It is in the table of known tokens, and would be for a minute."""
    leeway = load(stack.config).timeouts.clock_skew

    def soon_over() -> tuple[str, float]:
        ends = int(time.time()) + 4
        claims = {"exp": int(ends - leeway), "iat": ends - 300}
        return f"Bearer {token(stack, **claims)}", ends

    mine, ends = soon_over()
    # On a busy machine it may have ended before its first use.
    while call(stack, "/api/x", mine).status_code != 200:
        mine, ends = soon_over()
    wait_until(lambda: time.time() > ends + 1, 60, "the end of the token")
    answer = call(stack, "/api/x", mine)
    assert answer.status_code == 401 and 'error="invalid_token"' in challenge(answer)


def test_an_access_token_is_no_id_token(stack, user):
    """The reverse: a login whose ID token is an access token of that provider."""
    stack.provider.header["typ"] = "at+jwt"
    page = user.go(stack.url("/private"))
    assert page.status_code == 502 and "id_token_type" in page.text and stack.app.requests == []


# -- conditions, and what the caller is told -------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "status"),
    [
        ("orders:read orders:list", 200),
        ("orders:list x orders:read", 200),
        ("orders:admin", 200),
        (["orders:read", "orders:list"], 200),
        ("orders:read", 403),
        ("ORDERS:ADMIN", 403),
        ("orders:admin,x", 403),
        ("orders:admin\torders:read", 403),
        (["orders:read orders:list"], 403),
        ({"orders:admin": True}, 403),
        ("", 403),
        (None, 403),
    ],
)
def test_scopes_are_alternatives_each_of_which_counts_as_a_whole(stack, scope, status):
    answer = call(stack, "/orders/x", bearer(stack, scope=scope))
    assert answer.status_code == status
    if status == 403:
        told = challenge(answer)
        assert 'error="insufficient_scope"' in told and 'scope="orders:list orders:read"' in told
        assert stack.app.requests == []


def test_other_conditions_count_as_they_do_for_users(stack):
    assert call(stack, "/keep/x", bearer(stack, groups=["keepers"])).status_code == 200
    answer = call(stack, "/keep/x", bearer(stack, groups=["others"]))
    assert answer.status_code == 403 and "insufficient_scope" not in answer.headers.get(
        "www-authenticate", ""
    )
    assert "keepers" not in answer.text
    assert call(stack, "/vault/x", bearer(stack, acr="gold")).status_code == 200
    answer = call(stack, "/vault/x", bearer(stack))
    assert answer.status_code == 401
    assert 'error="insufficient_user_authentication"' in challenge(answer)
    assert 'acr_values="gold"' in challenge(answer)
    assert subjects(stack) == ["carol"] * 2


def test_csrf_is_about_pages_and_not_about_callers(stack):
    """A service sends no Origin, and a page of another one has to be listed, token or not."""
    evil = {"origin": "https://evil.example", "sec_fetch_site": "cross-site"}
    mine = bearer(stack, aud=stack.url("/given/"))
    assert call(stack, "/given/x", mine, method="POST", **evil).status_code == 403
    assert stack.app.requests == []
    assert call(stack, "/given/x", mine, method="POST").status_code == 200


def test_the_methods_of_a_rule_count_before_its_token(stack):
    for value in ("Bearer nonsense", bearer(stack, scope="orders:admin")):
        assert call(stack, "/orders/x", value, method="DELETE").status_code == 405
    assert stack.app.requests == []


def test_a_caller_without_a_token_is_told_where_to_get_one(stack):
    metadata = f'resource_metadata="{stack.url("/.well-known/oauth-protected-resource")}"'
    answer = call(stack, "/orders/x", accept="application/json")
    told = challenge(answer)
    assert answer.status_code == 401 and metadata in told and "error=" not in told
    assert 'scope="orders:list orders:read"' in told
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"


# -- the metadata of the resource (RFC 9728) -------------------------------------------------------


@pytest.mark.attack("HDR-08")
@pytest.mark.parametrize("host", ["localhost:1", "LOCALHOST", "localhost"])
def test_the_address_of_the_metadata_is_the_settings_and_never_the_client_s(stack, host):
    """X-Forwarded-Host is nothing, too."""
    here = stack.url("/.well-known/oauth-protected-resource")
    forged = {"host": host, "x_forwarded_host": "evil.example", "forwarded": "host=evil.example"}
    answer = call(stack, "/api/x", **forged)
    assert answer.status_code == 401 and f'resource_metadata="{here}"' in challenge(answer)
    document = call(stack, "/.well-known/oauth-protected-resource", **forged)
    assert document.status_code == 200 and document.json()["resource"] == stack.url("/")


def test_each_application_has_a_document_of_its_own(stack):
    answer = call(stack, "/given/x")
    there = stack.url("/.well-known/oauth-protected-resource/given/")
    assert f'resource_metadata="{there}"' in challenge(answer)
    for path in ("/given/", "/given"):
        document = call(stack, f"/.well-known/oauth-protected-resource{path}").json()
        assert document["resource"] == stack.url("/given/")
        assert document["authorization_servers"] == [stack.provider.issuer]
    assert stack.app.requests == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_document_is_for_reading(stack, method):
    path = "/.well-known/oauth-protected-resource"
    assert call(stack, path, method=method).status_code == 405
    head = call(stack, path, method="HEAD")
    assert head.status_code == 200 and head.headers["content-type"] == "application/json"


def test_pages_of_every_origin_may_read_the_document(stack):
    path = "/.well-known/oauth-protected-resource"
    asks = {"access_control_request_method": "GET"}
    asks["access_control_request_headers"] = "mcp-protocol-version"
    preflight = call(stack, path, method="OPTIONS", origin="https://page.example", **asks)
    assert preflight.status_code in (200, 204)
    answers = (preflight, call(stack, path, origin="https://page.example"))
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers
    assert preflight.headers["access-control-allow-headers"] in ("*", "mcp-protocol-version")


# -- secrets ---------------------------------------------------------------------------------------


def test_no_token_is_in_a_log(stack):
    opaque = f"canary-{time.monotonic_ns()}"
    tokens = [token(stack, jti=opaque), token(stack, sub="x", exp=1), opaque]
    for value in tokens:
        for path in OPEN:
            call(stack, path, f"Bearer {value}")
    call(stack, "/docs/x", f"Basic eDp5, Bearer {opaque}")
    marker = f"/public/{opaque[7:]}"
    call(stack, marker)
    # Its line comes after those of all the others.
    stack.access_log(lambda line: line["path"] == marker)
    text = stack.extproc.output() + json.dumps(stack.access_log())
    assert "bearer_token_opaque" in text and "bearer_token_expired" in text
    for value in tokens:
        # Of a JWT the signature is what nobody may have.
        assert value.rpartition(".")[2] not in text


def test_the_keys_that_a_token_names_are_not_fetched_again_and_again(stack):
    """Each of these tokens names a key that nobody has."""
    before = len(stack.provider.requests_to("/jwks"))
    for number in range(20):
        mine = token(stack, {"kid": f"unknown-{number}"})
        assert call(stack, "/api/x", f"Bearer {mine}").status_code in (401, 503)
    assert len(stack.provider.requests_to("/jwks")) - before <= 2


def test_a_new_key_of_the_provider_counts_without_a_restart(stack):
    stack.provider.keys = [public("RS256"), public("RS256", "new")]
    mine = f"Bearer {token(stack, signer=Signer(name='new'))}"

    def admitted() -> bool:
        answer = call(stack, "/api/x", mine)
        assert answer.status_code == 200 or answer.headers["retry-after"]
        return answer.status_code == 200

    # Tokens of the tests before may have spent the fetch of these ten seconds.
    wait_until(admitted, 60, "the new key", every=0.5)
