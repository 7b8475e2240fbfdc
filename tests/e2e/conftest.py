"""The gateway of a module's tests, as each of them finds it."""

import pytest
from harness.gateway import Stack


@pytest.fixture
def stack(running: Stack) -> Stack:
    """The module's gateway, with a correct provider and nothing recorded."""
    running.provider.reset()
    running.app.requests.clear()
    return running
