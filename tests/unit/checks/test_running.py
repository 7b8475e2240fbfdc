"""The store and the processor as they run."""

import json
from collections.abc import Iterator

import pytest
from harness.envoy_config import simple
from harness.static_server import Answer, StaticServer

from extproc.checks.running import check_processor, check_store
from extproc.core.assertion import jwks
from extproc.metrics.process import package_version
from extproc.settings.fingerprint import fingerprints


@pytest.fixture
def admin() -> Iterator[StaticServer]:
    """The admin listener of a processor that is ready, of these settings and of this version."""
    version = package_version("extproc-oidc")
    with StaticServer() as server:
        server.answers = {
            "/readyz": Answer.json({"ready": True, "missing": []}),
            "/.well-known/jwks.json": Answer.json(json.loads(jwks(simple().key_ring()))),
            "/metrics": Answer(body=f'extproc_build_info{{version="{version}"}} 1.0\n'),
        }
        yield server


def found(admin: StaticServer) -> list[tuple[str, str]]:
    return [(each.level, each.part) for each in check_processor(simple(admin=admin.address))]


def test_a_processor_that_is_ready_has_one_finding(admin: StaticServer) -> None:
    assert found(admin) == [("ok", "admin")]


def test_a_processor_of_another_secret_or_version_is_found(admin: StaticServer) -> None:
    admin.answers["/.well-known/jwks.json"] = Answer.json({"keys": []})
    admin.answers["/metrics"] = Answer(body='extproc_build_info{version="0.0.0"} 1.0\n')
    assert found(admin) == [("error", "secret"), ("warning", "admin"), ("ok", "admin")]


def test_a_processor_of_other_settings_is_found_without_envoy(admin: StaticServer) -> None:
    own = fingerprints(simple())
    admin.answers["/fingerprints"] = Answer.json(own)
    assert found(admin) == [("ok", "admin")]
    for theirs in ({**own, "app": "0" * 16}, {**own, "wiki": "0" * 16}, {}):
        admin.answers["/fingerprints"] = Answer.json(theirs)
        assert found(admin) == [("error", "applications"), ("ok", "admin")]
    admin.answers["/fingerprints"] = Answer.json([])
    assert found(admin) == [("warning", "admin")]


def test_each_missing_part_is_an_error(admin: StaticServer) -> None:
    missing = [{"part": part, "reason": "down"} for part in ("store", "provider main")]
    admin.answers["/readyz"] = Answer.json({"ready": False, "missing": missing}, 503)
    assert found(admin) == [("error", "admin"), ("error", "admin")]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404),
        Answer.html("<p>"),
        Answer.json([]),
        Answer.json({"missing": ["store"]}, 503),
        Answer.json({"missing": "store"}, 503),
        Answer.json({"missing": {"part": "store"}}, 503),
    ],
)
def test_what_is_no_processor_is_a_warning(admin: StaticServer, answer: Answer) -> None:
    admin.answers["/readyz"] = answer
    assert found(admin) == [("warning", "admin")]


def test_a_file_is_left_alone_and_a_server_that_is_down_is_an_error() -> None:
    assert list(check_store(simple(store={"kind": "sqlite", "path": "/nowhere/x.db"}))) == []
    (only,) = check_store(simple(store={"kind": "redis", "servers": ["127.0.0.1:9"]}))
    assert (only.level, only.part) == ("error", "store")


def test_cookies_need_no_server() -> None:
    provider = {"issuer": "https://i.example", "client_id": "x", "backchannel_logout": False}
    made = simple(store={"kind": "cookie"}, providers={"main": provider})
    assert [each.level for each in check_store(made)] == ["ok"]
