"""Settings read again: when a change is told, what becomes of it, and in which order a new key
begins.
"""

import json
import os
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from extproc.metrics import ProcessMetrics
from extproc.metrics.reloads import Reloads
from extproc.runtime.reload import EVERY, FETCH, NotTaken, SettingsReload
from extproc.settings import Settings, SettingsError, Source, with_secrets
from extproc.settings.watch import secret_files

A, B, C = (letter * 40 for letter in "ABC")
REFRESH = 10
APART = 60.4  # seconds between two changes, never at a look


def write(path, text):
    """In place of what was there, in one step."""
    path.with_suffix(".new").write_text(text)
    path.with_suffix(".new").replace(path)


class Files:
    """Settings with a secret's file beside them."""

    def __init__(self, folder):
        self.settings, self.ring = folder / "extproc.yaml", folder / "ring"
        self.set_ring(A)
        self.set()

    def set(self, **changes):
        provider = {"issuer": "https://idp.example", "client_id": "gateway", "client_secret": "s"}
        known = {
            "secret_file": str(self.ring),
            "providers": {"main": provider},
            "applications": {
                "app": {
                    "hosts": ["localhost"],
                    "upstream": "http://127.0.0.1:1",
                    "provider": "main",
                }
            },
            **changes,
        }
        write(self.settings, json.dumps(known))

    def set_ring(self, *ring):
        write(self.ring, "\n".join(ring))


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def looks(source, times=4):
    return [source.changed() for _ in range(times)]


# -- the files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda files: files.set(session={"idle": 60}),
        lambda files: files.set_ring(B, A),
        lambda files: files.ring.unlink(),
        lambda files: os.utime(files.ring, ns=(1, 1)),
    ],
    ids=["settings", "secret", "gone", "time"],
)
def test_a_change_is_told_once_when_it_has_come_to_rest(files, change):
    source = Source(files.settings)
    source.load()
    assert looks(source) == [False] * 4
    change(files)
    assert looks(source) == [False, True, False, False]


def test_a_file_that_is_still_being_written_is_not_read(files):
    source = Source(files.settings)
    source.load()
    told = []
    for line in range(3):
        with files.ring.open("a") as growing:
            growing.write(f"\n{line}" + B)
        told.append(source.changed())
    assert told == [False] * 3 and source.changed()


def test_a_folder_that_is_swapped_below_a_name_is_a_change(tmp_path, files):
    """As Kubernetes does it: ring -> ..data/ring, ..data -> ..1"""
    for number, key in enumerate((A, B)):
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}" / "ring").write_text(key)
    (tmp_path / "..data").symlink_to("..0")
    files.ring.unlink()
    files.ring.symlink_to("..data/ring")
    source = Source(files.settings)
    assert source.load().ring()[0].get_secret_value() == A
    (tmp_path / "..tmp").symlink_to("..1")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    assert (
        looks(source) == [False, True, False, False]
        and source.load().ring()[0].get_secret_value() == B
    )


def test_after_settings_that_cannot_be_read_every_file_is_still_looked_at(files):
    source = Source(files.settings)
    source.load()
    files.set_ring("short")
    assert looks(source, 2) == [False, True]
    with pytest.raises(SettingsError, match="secret has 5 bytes"):
        source.load()
    files.set_ring(B)
    assert looks(source, 2) == [False, True] and source.load()


def test_all_files_of_secrets_are_looked_at():
    redis = {"kind": "redis", "servers": ["127.0.0.1:1"], "password_file": "/redis"}
    provider = {
        "issuer": "https://idp.example",
        "client_id": "gateway",
        "client_secret_file": "/client",
    }
    common = {
        "secret_file": "/ring",
        "providers": {"main": provider},
        "applications": {
            "app": {"hosts": ["localhost"], "upstream": "http://127.0.0.1:1", "provider": "main"}
        },
    }
    for store in (redis, {"kind": "cookie", "tombstones": redis}):
        settings = Settings.model_validate_json(json.dumps({**common, "store": store}))
        assert [str(path) for path in secret_files(settings)] == ["/ring", "/client", "/redis"]


# -- what becomes of a change ----------------------------------------------------------------------


class FakeRunning:
    """What runs, with a diary: (seconds since the start, what, ring)."""

    def __init__(self):
        self.reloads = Reloads(ProcessMetrics())
        self.diary, self.refuse, self.began = [], None, trio.current_time()

    def _note(self, what, settings):
        ring = "".join(secret.get_secret_value()[0] for secret in settings.ring())
        self.diary.append((round(trio.current_time() - self.began), what, ring))

    def check(self, old, new):
        if self.refuse == "check":
            raise SettingsError("workers: cannot be changed")

    async def update_keys(self, settings):
        self._note("update_keys", settings)

    async def replace(self, old, new):
        if self.refuse == "replace":
            raise NotTaken("worker 1: no")
        self._note("replace", new)
        return new


@asynccontextmanager
async def reloading(files):
    source = Source(files.settings)
    settings = with_secrets(source.load())
    running = FakeRunning()
    async with trio.open_nursery() as nursery:
        made = SettingsReload(source, settings, running, running.check)
        nursery.start_soon(made.run)
        await trio.testing.wait_all_tasks_blocked()
        yield made, running
        nursery.cancel_scope.cancel()


LOOKS = round(2 * EVERY)  # seconds until a change is told
BEGINS = LOOKS + round(REFRESH + FETCH)


# by hand, where there are more machines
@pytest.mark.parametrize(
    ("rings", "diary"),
    [
        (
            [(B, A)],
            [(LOOKS, "update_keys", "AB"), (BEGINS, "update_keys", "BA")],
        ),  # published, then it signs
        ([(A, B)], [(LOOKS, "update_keys", "AB")]),
        (
            [(A, B), (B, A)],
            [(LOOKS, "update_keys", "AB"), (round(APART) + LOOKS, "update_keys", "BA")],
        ),
        (
            [(B, A), (B,)],
            [
                (LOOKS, "update_keys", "AB"),
                (BEGINS, "update_keys", "BA"),
                (round(APART) + LOOKS, "update_keys", "B"),
            ],
        ),
        ([(B,)], [(LOOKS, "update_keys", "B")]),  # a key that was stolen: nothing to wait for
        ([(C, B, A)], [(LOOKS, "update_keys", "ACB"), (BEGINS, "update_keys", "CBA")]),
    ],
)
async def test_a_new_key_is_known_everywhere_before_it_seals_and_signs(
    files, autojump_clock, rings, diary
):
    async with reloading(files) as (made, running):
        for ring in rings:
            files.set_ring(*ring)
            await trio.sleep(APART)
        assert running.diary == diary
        assert tuple(secret.get_secret_value() for secret in made.settings.ring()) == rings[-1]


async def test_other_settings_replace_what_runs_and_so_does_sighup_when_nothing_differs(
    files, autojump_clock
):
    async with reloading(files) as (made, running):
        files.set(session={"idle": 60})
        await trio.sleep(60)
        os.utime(files.settings, ns=(1, 1))  # the same words
        await trio.sleep(60)
        await made.ask()
        await trio.sleep(60)
        assert running.diary == [(LOOKS, "replace", "A"), (120, "replace", "A")]


async def test_what_cannot_be_taken_leaves_what_runs_with_one_line_and_what_is_right_is_taken(
    files, autojump_clock, caplog
):
    caplog.set_level("ERROR", "extproc")

    def said():
        lines = [record.message for record in caplog.records]
        caplog.clear()
        return lines

    async with reloading(files) as (made, running):
        before = made.settings
        for break_it in (
            lambda: files.set_ring("short"),
            lambda: files.ring.unlink(),
            lambda: files.set(sesion={}),
            lambda: write(files.settings, ": no yaml: ["),
        ):
            break_it()
            await trio.sleep(60)
            assert said() == ["not_reloaded"] and made.settings == before and running.diary == []
            files.set_ring(A)
            files.set()
            await trio.sleep(60)
            assert said() == [] and made.settings == before and running.diary == []
        for refuse in ("check", "replace"):
            running.refuse = refuse
            files.set(session={"idle": 60})
            await trio.sleep(60)
            assert said() == ["not_reloaded"] and made.settings == before
            files.set()
            await trio.sleep(60)
        running.refuse = None
        files.set(session={"idle": 60})
        await trio.sleep(60)
        assert said() == [] and made.settings.session.idle == 60 and len(running.diary) == 1
