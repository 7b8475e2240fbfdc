"""The demo's application shows what reached it."""

import httpx
import pytest
from opentelemetry.trace import NoOpTracer

from extproc.demo.app import application

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def client():
    app = application(NoOpTracer(), "http://127.0.0.1:1/", "http://127.0.0.1:2/traces")
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://app.example")


async def test_as_json_every_header_comes_back_in_order_and_the_path_byte_for_byte(client):
    headers = [
        ("x-auth-sub", "alice"),
        ("x-other", "1"),
        ("traceparent", f"00-{TRACE}-{1:016x}-01"),
    ]
    answer = await client.get("/caf%C3%A9?a=%2F", headers=headers)
    seen = answer.json()
    assert seen["path"] == "/caf%C3%A9?a=%2F" and seen["user"] == {"sub": "alice"}
    assert [name for name, _ in seen["headers"] if name.startswith("x-")] == [
        "x-auth-sub",
        "x-other",
    ]
    assert seen["trace_id"] == TRACE


async def test_identity_is_shown_as_its_user_writes_it_and_headers_as_they_came(client):
    headers = {"x-auth-name": "Bob B%C3%B6hm", "x-auth-sub": "bob", "x-auth-groups": "a%2Cb,c"}
    page = (await client.get("/", headers={**headers, "accept": "text/html"})).text
    assert "Hello, Bob Böhm<" in page and "<td>a,b, c" in page and "<td>Bob B%C3%B6hm" in page
    user = (await client.get("/", headers=headers)).json()["user"]
    assert user == {"name": "Bob Böhm", "sub": "bob", "groups": "a,b, c"}


async def test_nothing_of_a_request_is_markup_on_the_page(client):
    headers = {"accept": "text/html", "x-auth-sub": "%3Cscript>alert(1)</script>"}
    answer = await client.get("/", headers=headers)
    assert "<script" not in answer.text and "&lt;script&gt;" in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


async def test_the_page_offers_to_sign_in_or_out(client):
    signed_out = await client.get("/", headers={"accept": "text/html"})
    signed_in = await client.get("/", headers={"accept": "text/html", "x-auth-sub": "alice"})
    assert "Sign in" in signed_out.text and "/oauth2/logout" not in signed_out.text
    assert "Hello, alice" in signed_in.text and "/oauth2/logout" in signed_in.text
