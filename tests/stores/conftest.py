"""Every kind of store, for the one suite that runs against each of them.

A kind is a context manager over a test's folder that gives a function: it opens the store once more, as another process would.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from extproc.sessions import SessionStore
from extproc.sessions.sqlite import SQLiteStore

Opener = Callable[[], SessionStore]


@contextmanager
def sqlite(folder: Path) -> Iterator[Opener]:
    yield lambda: SQLiteStore(folder / "sessions.sqlite3")


KINDS: dict[str, Callable[[Path], AbstractContextManager[Opener]]] = {"sqlite": sqlite}


@pytest.fixture(params=KINDS)
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    with KINDS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
async def store(opener: Opener) -> AsyncIterator[SessionStore]:
    opened = opener()
    yield opened
    await opened.aclose()


@pytest.fixture
async def other(opener: Opener) -> AsyncIterator[SessionStore]:
    """The same store, as another process has it."""
    opened = opener()
    yield opened
    await opened.aclose()
