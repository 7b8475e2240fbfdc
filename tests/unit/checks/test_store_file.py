"""The file of a store: what keeps the processor from starting, found before it starts."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from harness.envoy_config import simple

from extproc.checks.store_file import check_store_file
from extproc.sessions.sqlite.store import SQLiteStore


def found(path: Path) -> tuple[str, str, str]:
    (only,) = check_store_file(simple(store={"kind": "sqlite", "path": str(path)}))
    return only.level, only.part, only.what


def test_a_file_that_can_be_made_or_that_is_a_store_is_all_right(tmp_path: Path) -> None:
    path = tmp_path / "sessions.sqlite3"
    assert found(path)[0] == "ok" and not path.exists()
    SQLiteStore(path)
    assert found(path)[0] == "ok"


def test_a_directory_that_is_missing_is_a_warning_that_names_it(tmp_path: Path) -> None:
    level, part, what = found(tmp_path / "gone" / "sessions.sqlite3")
    assert (level, part) == ("warning", "store.path") and f"{tmp_path}/gone" in what
    assert not (tmp_path / "gone").exists()


def test_what_is_no_file_or_no_database_or_newer_is_a_warning(tmp_path: Path) -> None:
    assert "is not a file" in found(tmp_path)[2]
    path = tmp_path / "text"
    path.write_text("this is a text, and no database of any program at all\n" * 100)
    assert "no database" in found(path)[2]
    newer = tmp_path / "newer"
    with closing(sqlite3.connect(newer)) as db:
        db.execute("PRAGMA user_version = 99")
    assert "a newer version wrote" in found(newer)[2]


NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user reaches, unlike tmp_path, and may write to."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


@pytest.fixture
def no_root() -> Iterator[None]:
    """For access(2), this process is of a user that is not root."""
    if os.getuid() != 0:
        yield
        return
    os.setreuid(NOBODY, -1)
    yield
    os.setreuid(0, -1)


def test_what_this_user_cannot_write_is_a_warning(folder: Path, no_root: None) -> None:
    path = folder / "sessions.sqlite3"
    SQLiteStore(path)
    path.chmod(0o400)
    assert "cannot write" in found(path)[2]
    folder.chmod(0o555)
    assert "cannot make files" in found(folder / "another")[2]
    folder.chmod(0o777)


def test_a_directory_of_the_kernel_s_is_one_in_which_no_user_makes_files() -> None:
    assert found(Path("/proc/sys/sessions.sqlite3"))[0] == "warning"


def test_the_file_of_revocations_is_looked_at_as_well(tmp_path: Path) -> None:
    tombstones = {"kind": "sqlite", "path": str(tmp_path / "gone" / "over.sqlite3")}
    (only,) = check_store_file(simple(store={"kind": "cookie", "tombstones": tombstones}))
    assert (only.level, only.part) == ("warning", "store.tombstones.path")
    servers = {"kind": "redis", "servers": ["127.0.0.1:9"]}
    assert list(check_store_file(simple(store=servers))) == []


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    """Files of another user's beside it would keep the processor from its own store."""
    path = tmp_path / "sessions.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE one (id)")
    assert list(tmp_path.iterdir()) == [path]
    assert found(path)[0] == "ok"
    assert list(tmp_path.iterdir()) == [path]
