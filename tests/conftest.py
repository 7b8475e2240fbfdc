"""Fixtures that every test may ask for. Imported for tests/unit/core as well, which has to start at
once: so what is slow to import is imported late.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.keycloak import Keycloak
    from harness.redis import Servers
    from xdist.scheduler import LoadScopeScheduling

LONGEST = "tests/interop", "tests/stateful", "tests/e2e", "tests/attack"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> "LoadScopeScheduling":
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        """A file's tests stay together, for the stacks that they share; so do all of tests/interop,
        for one Keycloak and one engine.
        """

        def _split_scope(self, nodeid: str) -> str:
            return (
                "tests/interop" if nodeid.startswith("tests/interop/") else nodeid.split("::", 1)[0]
            )

    config.option.loadscopereorder = False  # it would put the files with many small tests first
    return ByFile(config, log)


@pytest.hookimpl(tryfirst=True)  # before `-m heavy` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whoever needs Keycloak is heavy. What takes longest begins first, so that the processes end
    together.
    """
    for item in items:
        if "keycloak" in getattr(item, "fixturenames", ()):
            item.add_marker("heavy")
    order = [*LONGEST, ""]
    items.sort(
        key=lambda item: next(n for n, folder in enumerate(order) if item.nodeid.startswith(folder))
    )


@pytest.fixture(scope="session")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Keycloak]":
    """A real Keycloak, started once; each Stack with it has its gateway port."""
    from harness.keycloak import Keycloak

    with Keycloak(tmp_path_factory.mktemp("keycloak")) as running:
        yield running


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Servers]":
    """Real Redis and Valkey servers that tests share: nothing that a test does to them may stay."""
    from harness.redis import Servers

    servers = Servers(tmp_path_factory.mktemp("redis"))
    yield servers
    servers.close()
