"""A provider over the network: reachable, its clock, and what its answers mean."""

import time
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from harness.envoy_config import simple
from harness.static_server import Answer, StaticServer

from extproc.checks.providers import check_provider
from extproc.settings import Settings
from extproc.settings.providers import DISCOVERY


@pytest.fixture
def provider() -> Iterator[StaticServer]:
    with StaticServer() as server:
        yield server


def made(url: str, **more: object) -> Settings:
    return simple(providers={"main": {"issuer": url, "client_id": "x", **more}})


def test_a_provider_that_is_down_is_an_error_with_the_reason() -> None:
    (only,) = check_provider(made("http://127.0.0.1:9"), "main")
    assert (only.level, only.part) == ("error", "providers.main.issuer")
    assert "127.0.0.1:9 is not reachable from this machine" in only.what


def test_a_provider_behind_this_gateway_may_be_down_for_now() -> None:
    applications = {
        "app": {"hosts": ["localhost"], "provider": "main", "upstream": "http://127.0.0.1:1"},
        "idp": {"hosts": ["127.0.0.1"], "exclude": True, "upstream": "http://127.0.0.1:2"},
    }
    down = simple(
        applications=applications,
        gateway={"url": "http://localhost:9"},
        providers={"main": {"issuer": "http://127.0.0.1:9", "client_id": "x"}},
    )
    (only,) = check_provider(down, "main")
    assert (only.level, only.remedy) == (
        "warning",
        "it is behind this gateway: start Envoy, then check again",
    )


@pytest.mark.parametrize(
    ("answer", "text"),
    [(Answer(404), "answers 404"), (Answer.redirect("/x"), "redirects are not followed")],
)
def test_an_answer_without_metadata_is_an_error(
    provider: StaticServer, answer: Answer, text: str
) -> None:
    provider.answers[DISCOVERY] = answer
    (only,) = check_provider(made(provider.url), "main")
    assert only.level == "error" and text in only.what


def test_the_address_of_the_metadata_can_be_set(provider: StaticServer) -> None:
    provider.answers[DISCOVERY] = Answer.redirect("/index.php" + DISCOVERY)
    (only,) = check_provider(made(provider.url), "main")
    assert "set metadata_url" in only.remedy
    provider.answers["/index.php" + DISCOVERY] = Answer.json({"issuer": "https://other.example"})
    elsewhere = made(provider.url, metadata_url=f"{provider.url}/index.php{DISCOVERY}")
    found = [finding.what for finding in check_provider(elsewhere, "main")]
    assert any("names another issuer" in what for what in found)


def test_a_ca_file_that_is_none_is_an_error(provider: StaticServer) -> None:
    (only,) = check_provider(made(provider.url, ca_file="/nowhere/ca.pem"), "main")
    assert (only.level, only.part) == ("error", "providers.main.ca_file")


@pytest.mark.parametrize("date", ["yesterday", "Fri, 31 Dec 9999 23:59:59 -0000", ""])
def test_a_date_that_no_clock_can_show_is_left_out(
    provider: StaticServer, date: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    provider.answers[DISCOVERY] = Answer(200, "{}", (("date", date),))
    assert not any("clock" in each.what for each in check_provider(made(provider.url), "main"))
    monkeypatch.undo()
    time.tzset()


def test_a_clock_of_another_year_is_an_error(provider: StaticServer) -> None:
    date = ("date", formatdate(1_000_000_000, usegmt=True))
    provider.answers[DISCOVERY] = Answer(200, "{}", (date,))
    found = list(check_provider(made(provider.url), "main"))
    assert any("timeouts.clock_skew" in each.what for each in found if each.level == "error")
