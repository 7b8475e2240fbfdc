"""What Envoy answers itself: a page for browsers, a problem document for scripts, with the id by which
an operator finds the request.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator

import pytest
from harness.envoy_parts import Asked, Client, Reply
from harness.envoy_world import Gateway, World, application
from harness.ports import free_port
from harness.processes import wait_until

HTML = "accept: text/html,application/xhtml+xml,*/*;q=0.8"
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What is asked, with which header lines and of which host; the status, and the title of the page.
ERRORS = {
    "an escaped slash": ("/a%2Fb", (), None, 400, "This address is not accepted"),
    "an escaped backslash": ("/wiki/a%5cb", (), None, 400, "This address is not accepted"),
    "dots": ("/%2e%2e;/x", (), None, 400, "This address is not accepted"),
    "a host of nobody": ("/", (), "nope.test", 421, "Wrong address"),
    "no host": ("/", (), "app.test:x", 400, "This address is not accepted"),
    "an upgrade that is not served": (
        "/assets/",
        ("upgrade: h9", "connection: upgrade"),
        None,
        403,
        "No access",
    ),
    "no route": ("/", (), "only.test", 404, "Page not found"),
    "the gate": ("/x?stub=undecided", (), None, 403, "No access"),
    "a fault of the processor": (
        "/x?stub=spurious",
        (),
        None,
        503,
        "Signing in is not possible right now",
    ),
    "no application, open": ("/down/", (), None, 503, "The application does not answer"),
    "no application, decided": (
        "/gone/?stub=continue",
        (),
        None,
        503,
        "The application does not answer",
    ),
}


@pytest.fixture(scope="module")
def gateway(world: World) -> Iterator[Gateway]:
    nowhere = f"http://127.0.0.1:{free_port()}"
    applications: dict[str, object] = {
        "main": application(world.upstream.url),
        "wiki": application(world.upstream.url, path_prefix="/wiki/"),
        "assets": application(world.upstream.url, path_prefix="/assets/", exclude=True),
        "down": application(nowhere, path_prefix="/down/", exclude=True),
        "gone": application(nowhere, path_prefix="/gone/"),
        "only": application(world.upstream.url, "only.test", path_prefix="/only/", exclude=True),
    }
    with world.gateway("own-answers", applications) as made:
        yield made


def logged(gateway: Gateway, request_id: str) -> dict[str, object]:
    """The line of Envoy's access log with this id."""
    wait_until(lambda: request_id in gateway.access_log(), 60, f"{request_id} in the access log")
    return next(
        json.loads(line) for line in gateway.access_log().splitlines() if request_id in line
    )


def page(reply: Reply) -> str:
    """The page of a reply, after what every page has to be."""
    assert reply.get("content-type") == "text/html; charset=utf-8"
    assert reply.get("cache-control") == "no-store"
    assert reply.get("x-content-type-options") == "nosniff"
    text = reply.body.decode()
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = reply.get("content-security-policy") or ""
    assert f"style-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    assert "<script" not in text and "%" not in style[1].replace("100%", "")
    return text


@pytest.mark.threat("own-words")
@pytest.mark.parametrize("case", ERRORS)
def test_a_browser_gets_a_page_and_a_script_a_document_both_with_the_id_of_the_log(
    gateway: Gateway, asked: list[Asked], case: str
) -> None:
    path, lines, host, status, title = ERRORS[case]
    for_people = gateway.client.get(path, HTML, *lines, host=host)
    assert for_people.status == status
    request_id = for_people.get("x-request-id") or ""
    assert REQUEST_ID.fullmatch(request_id)
    text = page(for_people)
    assert f"<h1>{title}</h1>" in text
    assert f"<dd>{status}</dd>" in text and f"<dd>{request_id}</dd>" in text
    assert logged(gateway, request_id)["status"] == status
    for_scripts = gateway.client.get(path, *lines, host=host)
    assert for_scripts.get("content-type") == "application/problem+json"
    document = json.loads(for_scripts.body)
    assert (document["status"], document["title"]) == (status, title)
    assert document["request_id"] == for_scripts.get("x-request-id")
    for body in (for_people.body, for_scripts.body):
        assert b"127.0.0.1" not in body and b"upstream" not in body and b"RBAC" not in body


def test_no_processor_is_a_page_too_and_asks_to_try_again(world: World, asked: list[Asked]) -> None:
    port = free_port()
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    with world.gateway(f"none-{port}", applications, listen=f"127.0.0.1:{port}") as gateway:
        reply = gateway.client.get("/", HTML)
        assert (reply.status, reply.get("retry-after")) == (503, "2")
        assert "Signing in is not possible right now" in page(reply)
        assert '<a href="">Try again</a>' in page(reply)


def test_too_many_requests_is_a_page(world: World, asked: list[Asked]) -> None:
    limit = {"trusted_hops": 1, "rate_limit": {"per_second": 1, "burst": 1}}
    applications: dict[str, object] = {"main": application(world.upstream.url)}
    with world.gateway("too-many", applications, gateway=limit) as gateway:
        lines = (HTML, "x-forwarded-for: 203.0.113.9")
        replies = [gateway.client.get("/", *lines) for _ in range(20)]
        reply = next(each for each in replies if each.status == 429)
        assert "Too many requests" in page(reply) and reply.get("retry-after") == "1"


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("/%00", (HTML,)),
        ("/", (HTML, "x_auth_sub: x")),
        ("/", (HTML, "a: " + "b" * 500_000)),
    ],
)
@pytest.mark.threat("own-words")
def test_what_envoy_refuses_before_it_has_an_id_shows_nothing_of_the_client_s(
    gateway: Gateway, asked: list[Asked], path: str, lines: tuple[str, ...]
) -> None:
    """A client's own x-request-id is still there then."""
    evil = "x-request-id: <img/src/onerror=alert(1)>"
    reply = gateway.client.get(path, evil, *lines)
    assert reply.status in (400, 413, 431)
    if (reply.get("content-type") or "").startswith("text/html"):
        assert b"<img" not in reply.body and b"<script" not in reply.body
    assert asked == []


def test_a_client_s_request_id_is_not_the_id_of_a_page(
    gateway: Gateway, asked: list[Asked]
) -> None:
    reply = gateway.client.get("/", HTML, "x-request-id: <b>", host="nope.test")
    assert REQUEST_ID.fullmatch(reply.get("x-request-id") or "") and b"<b>" not in reply.body


def test_the_redirecting_listener_has_the_same_answers(tls: Gateway, asked: list[Asked]) -> None:
    where = tls.settings.gateway.redirect_listen
    assert where is not None
    client = Client(where.port)
    assert "Page not found" in page(client.get("*", HTML, method="OPTIONS"))
    assert client.get("/a", HTML).status == 301
