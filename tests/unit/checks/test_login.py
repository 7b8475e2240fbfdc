"""A walk through a login ends at the provider's page, or at the first error."""

from collections.abc import Iterator

import httpx
import pytest
from harness.envoy_config import APP, simple
from harness.static_server import Answer, StaticServer

from extproc.checks.browser import Hop
from extproc.checks.findings import Finding
from extproc.checks.login import walk

LONG = "x" * 22


@pytest.fixture
def site() -> Iterator[StaticServer]:
    """The gateway and the provider in one."""
    with StaticServer() as server:
        yield server


def walked(site: StaticServer) -> tuple[list[Hop], list[Finding]]:
    made = simple(gateway={"url": site.url}, applications={"app": {**APP, "hosts": ["127.0.0.1"]}})
    parts = list(walk(made, "app"))
    hops = [each for each in parts if isinstance(each, Hop)]
    return hops, [each for each in parts if isinstance(each, Finding)]


def redirect(site: StaticServer, **changes: str) -> Answer:
    query = {
        "response_type": "code",
        "client_id": "gateway",
        "redirect_uri": f"{site.url}/oauth2/callback",
        "scope": "openid",
        "code_challenge_method": "S256",
        "code_challenge": LONG,
        "state": LONG,
        "nonce": LONG,
    }
    cookie = "extproc-login-app-00000000=v; Path=/; HttpOnly; SameSite=Lax"
    return Answer.redirect(str(httpx.URL(f"{site.url}/auth", params=query | changes)), cookie)


def test_a_login_is_walked_up_to_the_form_of_the_provider(site: StaticServer) -> None:
    site.answers = {
        "/": redirect(site),
        "/auth": Answer.redirect(f"{site.url}/page?secret=canary"),
        "/page": Answer.html("<form>"),
    }
    hops, findings = walked(site)
    # The provider of these settings is elsewhere: it says nothing of the client's credentials.
    assert [each.level for each in findings] == ["ok", "ok", "skipped"]
    assert findings[-1].part == "providers.main.client_secret"
    assert [hop.status for hop in hops] == [303, 303, 200]
    assert hops[2].shown == f"{site.url}/page?secret=…"


def test_a_wrong_request_is_not_sent_to_the_provider(site: StaticServer) -> None:
    site.answers["/"] = redirect(site, state="short")
    _, findings = walked(site)
    assert [each.level for each in findings] == ["error"]
    assert [each.path for each in site.received] == ["/"]


def test_the_callback_is_not_called(site: StaticServer) -> None:
    site.answers = {
        "/": redirect(site),
        "/auth": Answer.redirect(f"{site.url}/oauth2/callback?code=canary"),
    }
    _, findings = walked(site)
    assert findings[1].level == "ok" and "is not called" in findings[1].what
    assert len(site.received) == 2


def test_a_provider_that_redirects_for_ever_is_left(site: StaticServer) -> None:
    site.answers = {"/": redirect(site), "/auth": Answer.redirect(f"{site.url}/auth?again=1")}
    hops, findings = walked(site)
    assert findings[-1].level == "error" and len(hops) == 11


def test_a_gateway_that_does_not_answer_is_named_without_values(site: StaticServer) -> None:
    site.answers = {"/": redirect(site), "/auth": Answer.redirect("http://127.0.0.1:9/?a=canary")}
    _, findings = walked(site)
    assert "http://127.0.0.1:9/?a=… is not reachable" in findings[-1].what
