"""Settings of where sessions are kept."""

from pathlib import Path

import pytest

from extproc.settings import CookieSettings, RedisSettings, SQLiteSettings
from extproc.settings.store import shares_tombstones, store_with_secrets


@pytest.mark.parametrize(
    ("store", "explanation"),
    [
        ({"kind": "zoo"}, ": store.kind: there is no kind 'zoo'; there are: 'sqlite'"),
        ({"pth": "x"}, ": store.pth: there is no such key; did you mean path?"),
        ({"kind": "cookie", "path": "x"}, ": store.path: there is no such key"),
        (
            {"kind": "cookie", "tombstones": {"kind": "cookie"}},
            ": store.tombstones.kind: there is no kind 'cookie'",
        ),
        (
            {"kind": "cookie", "tombstones": {"pth": "x"}},
            ": store.tombstones.pth: there is no such key; did you mean path?",
        ),
        ("sqlite", ": store: input should be "),
    ],
)
def test_a_wrong_store_is_explained_in_one_line(fault, store, explanation):
    assert explanation in fault({"store": store})


def test_the_kind_of_store_may_be_left_out(read):
    assert read().store == SQLiteSettings()
    assert read({"store": {"path": "x"}}).store == SQLiteSettings(path=Path("x"))
    assert shares_tombstones(read().store)
    logout = {"main": {"backchannel_logout": False}}
    alone = read({"store": {"kind": "cookie"}, "providers": logout}).store
    assert not shares_tombstones(alone)
    cookie = {"kind": "cookie", "tombstones": {"path": "t"}}
    assert read({"store": cookie}).store == CookieSettings(
        kind="cookie", tombstones=SQLiteSettings(path=Path("t"))
    )


def test_a_password_takes_the_place_of_its_file(tmp_path):
    (tmp_path / "word").write_text("s3cret\n")
    redis = RedisSettings(kind="redis", servers=("r:1",), password_file=tmp_path / "word")
    assert store_with_secrets(SQLiteSettings()) == SQLiteSettings()
    taken = store_with_secrets(redis)
    assert (taken.password.get_secret_value(), taken.password_file) == ("s3cret", None)
    cookie = CookieSettings(kind="cookie", tombstones=redis)
    assert store_with_secrets(cookie).tombstones == taken
