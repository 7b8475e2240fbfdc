"""The admin application with two traces, through Starlette's test client, and settings of stores."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from harness import spans
from harness.tokens import ISSUER, SECRET
from starlette.testclient import TestClient

from extproc.admin.app import application
from extproc.settings import Settings
from extproc.traces import TraceStore


async def nothing_missing() -> tuple[tuple[str, str], ...]:
    return ()


@pytest.fixture
def store() -> TraceStore:
    kept = TraceStore()
    kept.add((*spans.callback(), *spans.fast_path()))
    return kept


@pytest.fixture
def client(store: TraceStore) -> Iterator[TestClient]:
    app = application(
        readiness=nothing_missing, jwks='{"keys": []}', traces=store, hosts=("admin.example.com",)
    )
    with TestClient(
        app, base_url="http://127.0.0.1:9490", follow_redirects=False, backend="trio"
    ) as client:
        yield client


def settings_with(store: Mapping[str, object]) -> Settings:
    """Settings of one provider and one application, with a store."""
    application = {"hosts": ["localhost"], "upstream": "http://127.0.0.1:1", "provider": "main"}
    provider = {
        "issuer": ISSUER,
        "client_id": "gateway",
        "client_secret": "s3cret",
        # Cookie sessions without tombstones do not allow it.
        "backchannel_logout": store["kind"] == "sqlite",
    }
    document = {
        "secret": SECRET.decode(),
        "providers": {"main": provider},
        "applications": {"app": application},
        "store": store,
    }
    return Settings.model_validate_json(json.dumps(document, default=str))


@pytest.fixture
def in_a_file(tmp_path: Path) -> Settings:
    return settings_with({"kind": "sqlite", "path": tmp_path / "sessions.sqlite3"})


@pytest.fixture
def in_cookies() -> Settings:
    return settings_with({"kind": "cookie"})


@pytest.fixture
def in_cookies_with_tombstones(tmp_path: Path) -> Settings:
    path = tmp_path / "tombstones.sqlite3"
    return settings_with({"kind": "cookie", "tombstones": {"kind": "sqlite", "path": path}})
