"""The file of a SQLite store: how it is made, opened, and read from outside."""

import os
import sqlite3
import stat
import subprocess
import sys

import pytest
from harness.tokens import NOW

from extproc.core.errors import StoreUnavailable
from extproc.core.session_record import Record
from extproc.sessions.sqlite import database, records
from extproc.sessions.sqlite.schema import SCHEMA

RECORD = Record(b"k" * 32, b"sealed", NOW + 100, NOW, b"entry", (b"t" * 32,))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sessions.sqlite3"


@pytest.fixture
def writer(path):
    database.create(path)
    connection = database.connect_writer(path, 1)
    yield connection
    connection.close()


def test_a_new_file_is_readable_by_this_user_only_and_an_old_one_stays(path):
    database.create(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    path.write_bytes(b"content")
    database.create(path)
    assert path.read_bytes() == b"content"


# What another process does that looks into the file, such as another worker that leaves.
VISIT = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(db.execute("SELECT count(*) FROM session").fetchone()[0])
db.close()
"""


def test_a_file_that_is_opened_again_and_closed_keeps_what_is_written_afterwards(writer, path):
    """As `extproc sessions` and a reload do in the process that has the store open.

    A process that closes any descriptor of a file loses its locks on it. Another process would then
    take itself for the last one, and delete the log in which new sessions are.
    """

    def visited() -> int:
        run = subprocess.run(
            [sys.executable, "-c", VISIT, str(path)], check=True, capture_output=True, text=True
        )
        return int(run.stdout)

    database.create(path)
    database.connect_writer(path, 1).close()
    assert visited() == 0
    records.put(writer, RECORD, None)
    assert visited() == 1


def test_a_writer_finds_today_s_tables_and_write_ahead_logging(writer):
    assert writer.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    assert writer.execute("PRAGMA journal_mode").fetchone() == (b"wal",)


def test_a_reader_sees_what_is_committed_and_changes_nothing(writer, path):
    reader = database.connect_reader(path, 0)
    records.put(writer, RECORD, None)
    assert records.read(reader, RECORD.key, NOW) == RECORD
    with pytest.raises(sqlite3.OperationalError):
        records.delete(reader, RECORD.key)
    reader.close()


def test_a_text_that_is_not_utf_8_costs_no_other_row(writer):
    writer.execute("CREATE TABLE odd (value)")
    writer.execute("INSERT INTO odd VALUES (CAST(x'ff' AS TEXT)), (1)")
    assert writer.execute("SELECT value FROM odd").fetchall() == [(b"\xff",), (1,)]


def test_a_look_from_outside_reads_a_session_and_leaves_the_file_as_it_is(writer, path):
    records.put(writer, RECORD, None)
    before = path.read_bytes()
    assert database.read_only(path, RECORD.key, NOW) == RECORD
    assert database.read_only(path, RECORD.key, NOW + 100) is None
    assert path.read_bytes() == before


def test_a_look_from_outside_makes_no_file(path):
    with pytest.raises(StoreUnavailable, match=str(path)):
        database.read_only(path, RECORD.key, NOW)
    assert not path.exists()
