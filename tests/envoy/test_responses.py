"""What Envoy adds to an application's answers, and what it leaves as the application wrote it."""

import time
from urllib.parse import quote

import pytest
from harness.envoy_parts import FAKE_COOKIE, Asked, Reply
from harness.envoy_world import Gateway, World, application
from harness.ports import free_port


def directives(reply: Reply) -> list[str]:
    return [each.strip() for each in (reply.get("cache-control") or "").split(",") if each]


def test_a_renewed_assertion_comes_with_the_applications_answer(
    plain: Gateway, asked: list[Asked]
) -> None:
    reply = plain.client.get("/x?stub=renew")
    assert reply.status == 200
    assert reply.values("set-cookie") == ["own=1", FAKE_COOKIE]
    assert directives(reply) == ["public", "max-age=60", "private"]
    other = plain.client.get("/x?stub=continue")
    assert other.values("set-cookie") == ["own=1"]
    assert other.values("cache-control") == ["public, max-age=60"]


@pytest.mark.parametrize(
    "says",
    [
        "no-store, must-revalidate",
        "no-store",
        "private, max-age=60",
        "no-cache",
        "max-age=0, must-revalidate",
        "max-age=60",
        "private, no-store, no-cache",
    ],
)
def test_what_an_application_says_about_caches_is_never_weakened(plain: Gateway, says: str) -> None:
    """Finding 12: a renewal once replaced `no-store` by `private`."""
    line = "cache-control:" + quote(says)
    own = says.split(", ")
    for path in ("/x", "/public/x"):
        renewed = directives(plain.client.get(f"{path}?stub=renew&says={line}"))
        assert renewed == [*own, "private"], path
    cookie = plain.cookie("main")
    for path in ("/x", "/public/x", "/assets/x"):
        assert directives(plain.client.get(f"{path}?says={line}", cookie=cookie)) == own, path
    two = f"says={line}&says=cache-control:%20no-transform"
    assert directives(plain.client.get(f"/x?stub=renew&{two}")) == [
        *own,
        "no-transform",
        "private",
    ]


def test_a_protected_page_about_which_nothing_is_said_is_asked_for_again(
    plain: Gateway, world: World
) -> None:
    """Finding 53: browsers show it from the disk after a logout, and shared caches keep it."""
    cookie = plain.cookie("main")
    for line in ("", "expires:%20Thu,%2001%20Jan%202099%2000:00:00%20GMT", "etag:%20x"):
        fast = plain.client.get(f"/x?says={line}", cookie=cookie)
        assert directives(fast) == ["private", "no-cache"]
        inline = plain.client.get(f"/x?stub=continue&says={line}")
        assert directives(inline) == ["private", "no-cache"]
        renewed = directives(plain.client.get(f"/x?stub=renew&says={line}"))
        assert set(renewed) == {"private", "no-cache"}
    for path in ("/public/x?says=", "/assets/x?says="):
        assert plain.client.get(path, cookie=cookie).get("cache-control") is None, path
    assert directives(plain.client.get("/public/x?stub=renew&says=")) == ["private"]
    url = world.upstream.url
    applications: dict[str, object] = {
        "store": application(url, path_prefix="/store/", cache_control="no-store"),
        "live": application(url, path_prefix="/live/", end_streams=["event_stream"]),
        "off": application(url, path_prefix="/off/", cache_control="off"),
    }
    with world.gateway(f"cache-{time.monotonic_ns()}", applications) as gateway:
        found = {
            name: gateway.client.get(
                f"/{name}/x?stub=continue&says=",
                "accept: text/event-stream",
                cookie=gateway.cookie(name),
            ).get("cache-control")
            for name in applications
        }
        assert found == {"store": "no-store", "live": "private, no-cache", "off": None}
        said = gateway.client.get(
            "/store/x?says=cache-control:%20max-age=5", cookie=gateway.cookie("store")
        )
        assert said.get("cache-control") == "max-age=5"


# Headers that a shared cache obeys in place of Cache-Control, and what keeps a response out of it.
TARGETED = {
    "cdn-cache-control": "no-store",
    "cloudflare-cdn-cache-control": "no-store",
    "netlify-cdn-cache-control": "no-store",
    "vercel-cdn-cache-control": "no-store",
    "akamai-cache-control": "no-store",
    "edge-control": "no-store",
    "surrogate-control": "no-store",
    "x-litespeed-cache-control": "no-store",
    "x-accel-expires": "0",
}


def targeted(reply: Reply) -> set[str | None]:
    """What the answer says to shared caches."""
    return {value for name in TARGETED for value in reply.values(name)}


@pytest.mark.threat("ended-session")
def test_no_shared_cache_keeps_a_protected_page_on_the_application_s_word(
    plain: Gateway, world: World
) -> None:
    """A CDN obeys CDN-Cache-Control in place of Cache-Control (RFC 9213 section 2.2)."""
    says = "&".join(f"says={name}:{quote(' max-age=600')}" for name in TARGETED)
    own = "&says=cache-control:%20public,%20max-age=5"
    cookie = plain.cookie("main")
    for path in (f"/x?{says}{own}", f"/x?stub=continue&{says}{own}"):
        reply = plain.client.get(path, cookie=cookie if "stub" not in path else None)
        assert {name: reply.values(name) for name in TARGETED} == {
            name: [value] for name, value in TARGETED.items()
        }
        assert directives(reply) == ["public", "max-age=5"], "Cache-Control stays its own"
    assert targeted(plain.client.get("/x?says=x-other:%201", cookie=cookie)) == set()
    for path in ("/public/x", "/assets/x"):
        assert targeted(plain.client.get(f"{path}?{says}", cookie=cookie)) == {"max-age=600"}
    # Set-Cookie comes with this one: a user's assertion.
    renewed = plain.client.get(f"/public/x?stub=renew&{says}")
    assert FAKE_COOKIE in renewed.values("set-cookie")
    assert targeted(renewed) == {"no-store"}
    off: dict[str, object] = {"main": application(world.upstream.url, cache_control="off")}
    with world.gateway(f"targeted-{time.monotonic_ns()}", off) as gateway:
        kept = gateway.client.get(f"/x?{says}", cookie=gateway.cookie("main"))
        assert targeted(kept) == {"max-age=600"}
        assert targeted(gateway.client.get(f"/x?stub=renew&{says}")) == {"no-store"}


def test_an_upstream_that_is_away_is_no_page_to_keep(world: World, asked: list[Asked]) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    applications: dict[str, object] = {"main": application(away)}
    with world.gateway(f"away-{time.monotonic_ns()}", applications) as gateway:
        for path in ("/x", "/x?stub=renew"):
            reply = gateway.client.get(path, cookie=gateway.cookie("main"))
            assert reply.status == 503
            assert "no-store" in directives(reply), path


def test_hsts_leaves_what_an_application_says_itself(tls: Gateway) -> None:
    cookie = tls.cookie("main")
    own = "max-age=63072000; includeSubDomains; preload"
    said = tls.client.get(f"/x?says=strict-transport-security:{quote(own)}", cookie=cookie)
    assert said.values("strict-transport-security") == [own]
    unsaid = tls.client.get("/x?says=", cookie=cookie)
    assert unsaid.values("strict-transport-security") == ["max-age=3600"]


def test_no_application_below_a_prefix_switches_hsts_off(tls: Gateway) -> None:
    off = "/git/x?says=strict-transport-security:max-age=0"
    answer = tls.client.get(off, cookie=tls.cookie("git"))
    assert answer.values("strict-transport-security") == ["max-age=3600"]


def test_no_application_below_a_prefix_lets_its_service_worker_see_the_whole_host(
    plain: Gateway,
) -> None:
    """Finding 57: it would see the codes of every application of the host."""
    says = "says=service-worker-allowed:%20/&says=x-other:%201"
    found = {
        path: plain.client.get(f"{path}?stub=continue&{says}").get("service-worker-allowed")
        for path in ("/wiki/sw.js", "/wiki/pub/sw.js", "/assets/sw.js", "/sw.js", "/public/sw.js")
    }
    below = {"/wiki/sw.js", "/wiki/pub/sw.js", "/assets/sw.js"}
    assert {path for path, value in found.items() if value is None} == below
    assert plain.client.get(f"/wiki/pub/x?{says}").get("x-other") == "1"
