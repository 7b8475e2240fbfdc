"""A processor that is started with a backup of its store."""

import shutil
import sqlite3
from contextlib import closing

import httpx
import pytest
from harness.fake_provider import FakeProvider
from harness.gateway import Stack
from harness.processes import wait_until

# Instead of a wait, the backup is made two minutes older.
OLDER = "UPDATE grave SET at = at - 120000 WHERE at = (SELECT max(at) FROM grave)"


@pytest.mark.threat("ended-session")
def test_a_backup_of_the_store_signs_nobody_in() -> None:
    with Stack(FakeProvider()) as stack, stack.user() as user:
        store = stack.directory / "extproc.sqlite3"
        note, backup = store.with_name("extproc.sqlite3-epoch"), store.with_name("backup")
        wait_until(note.exists, 60, "the first sign of life of the store")
        assert user.go(stack.url("/private")).status_code == 200
        user.cookies.drop("extproc-assertion-app")
        copy = {
            "cookie": user.cookies.header(stack.url("/private")),
            "accept": "text/html",
        }
        with closing(sqlite3.connect(store)) as old, closing(sqlite3.connect(backup)) as new:
            old.backup(new)
            new.execute(OLDER)
            new.commit()
        assert user.go(stack.url("/oauth2/logout")).status_code == 200
        assert stack.stop_extproc() == 0
        for leftover in stack.directory.glob("extproc.sqlite3-[ws]*"):
            leftover.unlink()
        shutil.copy(backup, store)
        stack.start_extproc()
        wait_until(lambda: "store_went_back" in stack.extproc.output(), 60, "the line of the log")
        answer = httpx.get(stack.url("/private"), headers=copy, trust_env=False)
        assert answer.status_code == 303
