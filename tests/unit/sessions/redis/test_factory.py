"""The Redis store of settings: no connection yet, and a certificate that can be read."""

import json

import pytest
from harness.certificates import Authority

from extproc.core.errors import StoreUnavailable
from extproc.sessions.redis.factory import redis_store
from extproc.settings import RedisSettings


def settings(**values: object) -> RedisSettings:
    return RedisSettings.model_validate_json(json.dumps({"kind": "redis", **values}, default=str))


@pytest.mark.parametrize(
    "values",
    [
        {"servers": ["127.0.0.1:1"]},
        {"mode": "sentinel", "servers": ["127.0.0.1:1"], "master": "lab"},
        {"mode": "cluster", "servers": ["127.0.0.1:1"]},
    ],
    ids=lambda values: values.get("mode", "single"),
)
async def test_every_mode_gives_a_store_that_is_not_connected_and_then_says_who_is_away(values):
    store = redis_store(settings(**values), "store")
    assert store.missing == "it was not connected to yet"
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1:1"):
        await store.get(b"k" * 32, 0)
    await store.aclose()


async def test_a_certificate_that_can_be_read_is_taken(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_bytes(Authority().pem)
    await redis_store(settings(servers=["127.0.0.1:1"], tls=True, ca_file=file), "store").aclose()


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), (b"x", "holds no certificate in PEM")]
)
def test_a_certificate_that_is_none_names_its_setting_and_file(tmp_path, content, why):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StoreUnavailable) as refused:
        redis_store(settings(servers=["127.0.0.1:1"], tls=True, ca_file=file), "store.tombstones")
    assert refused.value.detail.startswith(f"store.tombstones.ca_file {file}: ")
    assert why in refused.value.detail
