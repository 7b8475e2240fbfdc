"""A database in memory, with today's tables."""

import sqlite3
from collections.abc import Iterator

import pytest

from extproc.sessions.sqlite.schema import migrate


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.text_factory = bytes
    migrate(database)
    yield database
    database.close()
