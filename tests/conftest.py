"""Fixtures that every test may ask for. Imported for tests/oidc as well, which has to start at once: so what is slow to import is imported late."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rig.keycloak import Keycloak
    from rig.redis import Servers


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Keycloak]":
    """A real Keycloak, started once; each Stack with it has its gateway port."""
    from rig.keycloak import Keycloak

    with Keycloak(tmp_path_factory.mktemp("keycloak")) as running:
        yield running


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Servers]":
    """Real Redis and Valkey servers that tests share: nothing that a test does to them may stay."""
    from rig.redis import Servers

    servers = Servers(tmp_path_factory.mktemp("redis"))
    yield servers
    servers.close()
