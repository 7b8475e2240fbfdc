"""Fixtures that every test may ask for."""

import warnings
from collections.abc import Iterator

import pytest

with warnings.catch_warnings():
    # classes that envoy-data-plane generates use a pydantic decorator in a way that pydantic 2.12 deprecates; imported
    # here once, before "error" (pyproject.toml) applies, which stays on for everything that a test does
    warnings.simplefilter("ignore")
    import extproc.dataplane  # noqa: F401

from rig.keycloak import Keycloak
from rig.redis import Servers


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """A real Keycloak, started once; each Stack with it has its gateway port."""
    with Keycloak(tmp_path_factory.mktemp("keycloak")) as running:
        yield running


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Real Redis and Valkey servers that tests share: nothing that a test does to them may stay."""
    servers = Servers(tmp_path_factory.mktemp("redis"))
    yield servers
    servers.close()
