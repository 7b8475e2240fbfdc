"""The files that the demo writes into its folder."""

import json

from extproc.demo.files import write_description, write_files
from extproc.demo.layout import lay_out
from extproc.settings import load


def test_the_settings_are_good_and_every_file_is_its_owner_s_alone(tmp_path):
    layout = lay_out(tmp_path, None)
    write_files(layout)
    settings = load(layout.settings_file)
    assert settings.url("app") == layout.app
    assert settings.applications["idp"].exclude
    assert {path.stat().st_mode & 0o77 for path in tmp_path.rglob("*") if path.is_file()} == {0}


def test_each_demo_has_secrets_of_its_own(tmp_path):
    secrets = set()
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        write_files(lay_out(tmp_path / number, None))
        secrets.add((tmp_path / number / "secret").read_text())
        secrets.add((tmp_path / number / "client-secret").read_text())
    assert len(secrets) == 4


def test_the_description_has_the_agreed_keys(tmp_path):
    write_description(
        lay_out(tmp_path, None),
        tmp_path / "d.json",
        (("envoy", 1), ("extproc", 2), ("app", 3), ("idp", 4)),
    )
    described = json.loads((tmp_path / "d.json").read_text())
    assert sorted(described) == [
        "admin",
        "app",
        "config",
        "gateway",
        "idp",
        "other_user",
        "pids",
        "traces",
        "user",
    ]
    for user in ("user", "other_user"):
        assert sorted(described[user]) == ["name", "password"]
    assert [path.name for path in tmp_path.iterdir()] == ["d.json"]
