"""A store that went back to an earlier state is noticed, and brings no session back."""

import logging
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from harness.memory_peers import MemoryStore
from harness.tokens import NOW, application, request, session

from extproc.core.device import Device
from extproc.core.errors import StoreUnavailable
from extproc.core.session import Session, SessionId
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.epoch import LOST, Epoch
from extproc.sessions.interfaces import Sessions
from extproc.sessions.sqlite.store import SQLiteStore
from extproc.sessions.stored import StoredSessions

APP, MINUTE = application(), LOST / 1000
ENDED, OPEN = (replace(session(), id=SessionId.of(letter * 32)) for letter in (b"e", b"o"))


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class Browser:
    """A session's cookies, and whether it still opens."""

    def __init__(self, sessions: Sessions, one: Session) -> None:
        self.sessions, self.one, self.header = sessions, one, ""

    async def signs_in(self) -> "Browser":
        cookies = await self.sessions.create(APP, request(), self.one, Device(), None)
        self.header = "; ".join(f"{cookie.name}={cookie.value}" for cookie in cookies)
        return self

    async def is_signed_in(self, sessions: Sessions | None = None) -> bool:
        found = (sessions or self.sessions).find
        return await found(APP, request(cookie=self.header), NOW) is not None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite3"


@pytest.fixture
def note(tmp_path: Path) -> Path:
    return tmp_path / "sessions.sqlite3-epoch"


@pytest.fixture(params=[StoredSessions, CookieSessions])
async def sessions(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Sessions]:
    """Sessions in a SQLite file, or in cookies with their tombstones there."""
    opened = request.param(SQLiteStore(path))
    yield opened
    await opened.aclose()


def copied(source: Path, target: Path) -> None:
    """Copy a database as `.backup` and `.restore` of sqlite3 do, while others have it open."""
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.threat("ended-session")
async def test_a_file_that_is_restored_while_nothing_runs_brings_no_ended_session_back(
    sessions: Sessions, path: Path, note: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    ended, open_one = [await Browser(sessions, one).signs_in() for one in (ENDED, OPEN)]
    await Epoch(sessions, note, clock).look()
    copied(path, path.with_name("backup"))
    clock.now += 2 * MINUTE
    await sessions.end(ENDED, NOW)
    await Epoch(sessions, note, clock).look()
    assert not await ended.is_signed_in() and await open_one.is_signed_in()
    await sessions.aclose()
    for leftover in path.parent.glob("sessions.sqlite3-[ws]*"):
        leftover.unlink()
    shutil.copy(path.with_name("backup"), path)
    restored = type(sessions)(SQLiteStore(path))  # type: ignore[call-arg]
    assert await ended.is_signed_in(restored), "so it has to be found out"
    await Epoch(restored, note, clock).look()
    for browser in (ended, open_one):
        assert not await browser.is_signed_in(restored)
    assert lines(caplog) == ["store_went_back"]
    caplog.clear()
    await Epoch(restored, note, clock).look()
    assert lines(caplog) == [], "once"
    again = await Browser(
        restored, replace(OPEN, id=SessionId.of(b"n" * 32), created=NOW + 999, created_ms=0)
    ).signs_in()
    assert await again.is_signed_in(restored)
    await restored.aclose()


@pytest.mark.threat("ended-session")
async def test_a_file_that_is_restored_under_a_running_processor_is_noticed_without_a_note(
    sessions: Sessions, path: Path, clock: Clock
) -> None:
    ended = await Browser(sessions, ENDED).signs_in()
    epoch = Epoch(sessions, None, clock)
    await epoch.look()
    copied(path, path.with_name("backup"))
    clock.now += 2 * MINUTE
    await sessions.end(ENDED, NOW)
    await epoch.look()
    copied(path.with_name("backup"), path)
    assert await ended.is_signed_in(), "so it has to be found out"
    await epoch.look()
    assert not await ended.is_signed_in()


@pytest.mark.parametrize("lost", [0, MINUTE])
async def test_a_server_that_lost_its_last_minute_and_a_clock_that_is_set_back_end_nothing(
    sessions: Sessions, path: Path, clock: Clock, lost: float
) -> None:
    browser = await Browser(sessions, OPEN).signs_in()
    epoch = Epoch(sessions, None, clock)
    await epoch.look()
    copied(path, path.with_name("backup"))
    clock.now += lost
    await epoch.look()
    copied(path.with_name("backup"), path)
    clock.now -= 5 * MINUTE
    for _ in range(2):
        await epoch.look()
    assert await browser.is_signed_in()


@pytest.mark.parametrize("counts_empty", [False, True])
async def test_an_empty_store_ends_what_its_revocations_had_ended_and_no_session_of_its_own(
    sessions: Sessions,
    note: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    counts_empty: bool,
) -> None:
    note.write_text(str(NOW * 1000))
    browser = await Browser(sessions, OPEN).signs_in()
    await Epoch(sessions, note, clock, counts_empty=counts_empty).look()
    assert await browser.is_signed_in() is not counts_empty
    assert bool(lines(caplog)) is counts_empty


class Failing(StoredSessions):
    async def end_everything(self, now: float) -> int | None:
        raise StoreUnavailable("in the middle")


async def test_who_is_killed_before_all_have_ended_does_it_again(note: Path, clock: Clock) -> None:
    store = MemoryStore()
    browser = await Browser(StoredSessions(store), OPEN).signs_in()
    await Epoch(StoredSessions(store), note, clock).look()
    note.write_text(str(NOW * 1000 + 2 * LOST))
    with pytest.raises(StoreUnavailable):
        await Epoch(Failing(store), note, clock).look()
    await Epoch(StoredSessions(store), note, clock).look()
    assert not await browser.is_signed_in()


@pytest.mark.parametrize("content", ["", "x", "-5", "9" * 100, "²"])
async def test_a_note_that_is_no_number_is_written_again(
    sessions: Sessions, note: Path, clock: Clock, content: str
) -> None:
    note.write_text(content)
    browser = await Browser(sessions, OPEN).signs_in()
    for _ in range(2):
        await Epoch(sessions, note, clock).look()
    assert await browser.is_signed_in()
    assert note.read_text() == str(NOW * 1000)
    assert note.stat().st_mode & 0o777 == 0o600 and not list(note.parent.glob(f"{note.name}.*"))
