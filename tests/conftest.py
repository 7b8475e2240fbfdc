"""Fixtures that every test may ask for."""

from collections.abc import Iterator

import pytest
from rig.keycloak import Keycloak


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    """A real Keycloak, started once; each Stack with it has its gateway port."""
    with Keycloak(tmp_path_factory.mktemp("keycloak")) as running:
        yield running
