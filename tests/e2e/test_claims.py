"""Which claims reach an application: what a provider confirms, what it takes away, what it keeps
elsewhere, and what is too long.

The application `app` has the default settings. `open` has the same provider, with each setting of
claims at its other value; `api` gets the access token.
"""

import json
import time
from collections.abc import Iterator

import httpx
import pytest
from harness.browser import WebUser
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.journey import to_callback
from harness.providers import SECRET
from harness.stored_sessions import Kept

from extproc.core.oidc.logout_token import EVENT

LIMIT = 4096
WHOLE = {"email": "alice@example.com", "email_verified": True, "name": "Alice"}
OTHERS = ["456@proj", "270000000000000001"]


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    def settings(stack: Stack):
        issuer = stack.place.origin
        client = {"issuer": issuer, "client_id": "gateway", "client_secret": SECRET}

        def below(prefix: str, provider: str, **more: object):
            place = {"hosts": ["localhost"], "path_prefix": prefix, "upstream": stack.app.url}
            return {**place, "provider": provider, **more}

        return {
            "providers": {
                "open": {
                    **client,
                    "userinfo": "never",
                    "claims_at_refresh": "keep",
                    "trust_email": True,
                    "trusted_audiences": OTHERS,
                }
            },
            "applications": {
                "open": below("/open/", "open"),
                "api": below("/api/", "main", forward_access_token=True),
            },
            "identity": {"max_header_bytes": LIMIT},
        }

    with Stack(FakeProvider(), settings=settings) as stack:
        yield stack


def identity(answer: httpx.Response) -> dict[str, str]:
    """The identity headers that the application got."""
    assert answer.status_code == 200, answer.text
    headers = answer.json()["headers"]
    return {name: value for name, value in headers if name.startswith("x-auth-")}


def both_lanes(stack: Stack, user: WebUser, path: str) -> dict[str, str]:
    """The identity headers of a login's page, which Envoy and the processor make alike."""
    first = identity(user.go(stack.url(path)))
    before = stack.streams()
    assert identity(user.navigate(stack.url(path))) == first
    assert stack.streams() == before
    for name in ("app", "open"):
        user.cookies.drop(f"extproc-assertion-{name}")
    assert identity(user.navigate(stack.url(path))) == first
    return first


def refused(stack: Stack, user: WebUser, reason: str, path: str = "/private") -> str:
    answer = user.navigate(to_callback(stack, user, path))
    assert answer.status_code >= 400 and f">{reason}<" in answer.text, answer.text
    assert not user.cookies.named("extproc-session") and not stack.app.requests
    return answer.text


# -- an address that the provider does not confirm -------------------------------------------------


@pytest.mark.threat("spoofed-identity")
@pytest.mark.parametrize("source", ["userinfo", "claims"])
@pytest.mark.parametrize(
    ("verified", "shown"),
    [(True, True), ("true", True), (None, False), (False, False), ("false", False), (1, False)],
)
def test_an_address_reaches_the_application_only_if_the_provider_confirms_it(
    stack, source, verified, shown
):
    if source == "claims":
        stack.provider.userinfo.update(email=None, email_verified=None)
    getattr(stack.provider, source).update(
        email="root@example.com", email_verified=verified, name="Alice"
    )
    with stack.user() as user:
        assert ("x-auth-email" in both_lanes(stack, user, "/private")) == shown
        read = user.fetch(stack.url("/oauth2/userinfo"), page=stack.url("/")).json()
        assert ("email" in read) == shown and read["sub"] == "alice"


def test_one_source_does_not_confirm_the_address_of_another(stack):
    stack.provider.claims.update(email="alice@example.com", email_verified=True)
    stack.provider.userinfo.update(email="root@example.com", email_verified=None)
    with stack.user() as user:
        assert "x-auth-email" not in both_lanes(stack, user, "/private")


def test_a_provider_may_be_trusted_with_addresses(stack):
    stack.provider.claims.update(email="alice@example.com")
    with stack.user() as user:
        assert both_lanes(stack, user, "/open/x")["x-auth-email"] == "alice@example.com"
        page = stack.url("/open/")
        read = user.fetch(stack.url("/open/oauth2/userinfo"), page=page).json()
        assert read["email"] == "alice@example.com"


# -- claims at a refresh ---------------------------------------------------------------------------


def signs_in(stack: Stack, user: WebUser) -> Kept:
    """A session whose tokens are due, in a browser without an assertion."""
    assert user.go(stack.url("/private")).status_code == 200
    user.cookies.drop("extproc-assertion-app")
    kept = Kept(stack)
    kept.age(user)
    return kept


@pytest.mark.threat("ended-session")
@pytest.mark.parametrize("groups", [None, [], ["dev"]])
def test_groups_that_a_newer_id_token_no_longer_has_are_gone(stack, groups):
    stack.provider.claims["groups"] = ["dev", "admins"]
    with stack.user() as user:
        signs_in(stack, user)
        stack.provider.claims["groups"] = groups
        headers = identity(user.navigate(stack.url("/private")))
        assert headers.get("x-auth-groups") == ("dev" if groups == ["dev"] else None)
        # UserInfo was asked at the login only
        assert headers["x-auth-email"] == "alice@example.com"
        assert len(stack.provider.grants) == 1


def test_another_sid_at_a_refresh_does_not_take_the_session_from_the_provider(stack):
    stack.provider.claims["sid"] = "of the login"
    with stack.user() as user:
        kept = signs_in(stack, user)
        stack.provider.claims["sid"] = "another"
        assert user.navigate(stack.url("/private")).status_code == 200
        assert len(stack.provider.grants) == 1 and kept.session(user).sid == "of the login"
        user.cookies.drop("extproc-assertion-app")
        now = int(time.time())
        token = stack.provider.signer.sign(
            {
                "iss": stack.provider.issuer,
                "aud": "gateway",
                "iat": now,
                "exp": now + 120,
                "jti": f"logout-{time.monotonic_ns()}",
                "events": {EVENT: {}},
                "sid": "of the login",
            },
            typ="logout+jwt",
        )
        url = stack.url("/oauth2/backchannel-logout")
        out = httpx.post(url, data={"logout_token": token}, trust_env=False)
        assert out.status_code == 200
        assert user.fetch(stack.url("/private"), page=stack.url("/")).status_code == 401


def test_an_auth_time_of_the_future_is_refused_at_every_id_token(stack):
    stack.provider.claims["auth_time"] = int(time.time()) + 100_000
    with stack.user() as user:
        refused(stack, user, "id_token_auth_time")
    stack.provider.claims["auth_time"] = None
    with stack.user() as user:
        kept = signs_in(stack, user)
        stack.provider.claims["auth_time"] = int(time.time()) - 5
        assert user.navigate(stack.url("/private")).status_code == 200
        assert kept.session(user).auth_time is None
        user.cookies.drop("extproc-assertion-app")
        kept.age(user)
        stack.provider.claims["auth_time"] = int(time.time()) + 100_000
        assert user.fetch(stack.url("/private"), page=stack.url("/")).status_code == 401


# -- several audiences -----------------------------------------------------------------------------


@pytest.mark.attack("IDT-14")
@pytest.mark.threat("id-token")
def test_audiences_are_accepted_where_the_settings_trust_them(stack):
    stack.provider.claims.update(aud=["gateway", *OTHERS], azp="gateway", **WHOLE)
    with stack.user() as user:
        refused(stack, user, "id_token_audience")
        assert both_lanes(stack, user, "/open/x")["x-auth-sub"] == "alice"
    for changes in ({"azp": None}, {"azp": OTHERS[0]}, {"aud": ["gateway", "other"]}):
        stack.app.requests.clear()
        stack.provider.claims.update(aud=["gateway", *OTHERS], azp="gateway")
        stack.provider.claims.update(changes)
        with stack.user() as user:
            refused(stack, user, "id_token_audience", "/open/x")


# -- UserInfo --------------------------------------------------------------------------------------

AZURE = {"error": {"code": "InvalidAuthenticationToken", "message": "Invalid audience."}}


@pytest.mark.attack("REL-07")
@pytest.mark.parametrize(
    "answer",
    [
        *((status, {"retry-after": "20"}, json.dumps(AZURE).encode()) for status in (400, 401, 403, 429, 500, 302)),
        b"",
    ],
    ids=["400", "401", "403", "429", "500", "302", "closed"],
)  # fmt: skip
def test_userinfo_that_fails_stops_no_login_whose_id_token_has_every_claim(stack, answer):
    stack.provider.answers["/me"] = lambda _: answer
    stack.provider.claims.update(WHOLE)
    before = stack.extproc.output().count("userinfo_failed")
    with stack.user() as user:
        headers = both_lanes(stack, user, "/private")
        assert headers.keys() == {f"x-auth-{name}" for name in ("sub", "email", "name", "groups")}
    assert stack.extproc.output().count("userinfo_failed") > before and not stack.provider.revoked


@pytest.mark.parametrize("missing", ["name", "email_verified", "groups"])
def test_without_one_of_them_it_is_refused_and_its_tokens_are_revoked(stack, missing):
    """An application must not take a user for one without groups."""
    stack.provider.answers["/me"] = lambda _: (401, {}, b"{}")
    stack.provider.claims.update(WHOLE)
    stack.provider.claims[missing] = None
    with stack.user() as user:
        refused(stack, user, "invalid_userinfo")
    assert len(stack.provider.revoked) == 1


def test_userinfo_is_never_called_where_the_settings_say_so(stack):
    stack.provider.answers["/me"] = lambda _: (401, {}, b"{}")
    with stack.user() as user:
        assert both_lanes(stack, user, "/open/x") == {
            "x-auth-sub": "alice",
            "x-auth-groups": "dev",
        }
    assert not stack.provider.requests_to("/me")


# -- claims that are kept elsewhere, or too long ---------------------------------------------------


def left_out(stack: Stack, header: str) -> list[dict[str, str]]:
    lines = map(json.loads, stack.extproc.output().splitlines())
    return [
        line for line in lines if line["event"] == "header_left_out" and line["header"] == header
    ]


def test_groups_that_the_provider_keeps_elsewhere_are_named_in_the_log(stack):
    """As Entra does for users in more than 200 groups."""
    before = len(left_out(stack, "x-auth-groups"))
    stack.provider.claims.update(
        groups=None,
        _claim_names={"groups": "src1"},
        _claim_sources={"src1": {"endpoint": "https://graph.example.org", "access_token": "no"}},
    )
    with stack.user() as user:
        assert "x-auth-groups" not in both_lanes(stack, user, "/private")
        read = user.fetch(stack.url("/oauth2/userinfo"), page=stack.url("/"))
        assert "_claim" not in read.text and "graph.example.org" not in read.text
    line = left_out(stack, "x-auth-groups")[before]
    assert line["level"] == "warning" and line["claim"] == "groups"
    assert "_claim_names" in line["detail"] and "graph" not in json.dumps(line)


@pytest.mark.parametrize("count", [150, 2000], ids=["18 kB", "240 kB"])
def test_a_header_that_is_too_long_is_left_out_and_named_in_the_log(stack, count):
    before = len(left_out(stack, "x-auth-groups"))
    groups = [f"cn={number:04},".ljust(120, "x") for number in range(count)]
    stack.provider.userinfo["groups"] = groups
    with stack.user() as user:
        answer = user.navigate(to_callback(stack, user))
        if count == 2000:
            assert answer.status_code == 500 and ">session_too_large<" in answer.text
            return
        headers = both_lanes(stack, user, "/private")
        assert headers.keys() == {"x-auth-sub", "x-auth-email", "x-auth-name"}
    line = left_out(stack, "x-auth-groups")[before]
    assert f"allows {LIMIT}" in line["detail"] and line["level"] == "warning"


def test_an_access_token_that_envoy_could_not_send_is_a_page_and_no_empty_503(stack):
    def answer(request):
        status, headers, body = stack.provider.truthful(request)
        said = {**json.loads(body), "access_token": "t" * 61_000}
        return status, headers, json.dumps(said).encode()

    stack.provider.answers["/token"] = answer
    stack.provider.answers["/me"] = lambda _: (400, {}, b"{}")
    stack.provider.claims.update(WHOLE)
    with stack.user() as user:
        page = refused(stack, user, "session_too_large", "/api/x")
        assert "too much profile data" in page
    assert "the access token 61000; 30720 are allowed" in stack.extproc.output()
    with stack.user() as user:
        assert identity(user.go(stack.url("/private")))["x-auth-sub"] == "alice"
