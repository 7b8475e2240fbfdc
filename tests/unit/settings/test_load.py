"""Reading the settings file, up to values that can be checked."""

import os

import pytest

from extproc.settings import SettingsError, load
from extproc.settings.load import parse


@pytest.mark.parametrize(
    ("text", "explanation"),
    [
        ("a: [", "is not YAML"),
        ("secret: *a-secret\n", ":1: is not YAML: a value that begins with *, & or ! needs quotes"),
        ("secret: !a-secret\n", ":1: is not YAML: a value that begins with *, & or ! needs quotes"),
        ("- a", ": is a list; a mapping"),
        (
            "secret: ${NOT_SET_ANYWHERE}\n",
            ": secret: the environment variable NOT_SET_ANYWHERE is not set",
        ),
        ("a: 2020-13-45", ": is not YAML: a value cannot be parsed"),
        ("a: &a [*a]", ": is nested too deeply, or in itself"),
    ],
)
def test_what_is_no_settings_file_is_said_clearly(file, text, explanation):
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(file)
    [line] = str(caught.value).splitlines()
    assert line.startswith(str(file))
    assert explanation in line and "a-secret" not in line


def test_a_file_that_is_missing_is_said_clearly(tmp_path):
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "gone.yaml")


def test_a_file_that_is_not_text_is_said_clearly(file):
    file.write_bytes(b"secret: \xff")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load(file)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("/dev/zero", "is not a regular file, but a pipe or a device"),
        (".", "is a directory, and a file is needed"),
    ],
)
@pytest.mark.parametrize(
    "key",
    [
        "secret_file",
        "providers.main.client_secret_file",
        "providers.main.access_tokens.introspection.client_secret_file",
        "store.password_file",
        "store.sentinel_password_file",
        "store.tombstones.password_file",
    ],
)
def test_a_file_of_a_secret_that_has_no_end_is_named_with_its_key(fault, key, target, reason):
    redis = {"kind": "redis", "servers": ["r:1"], "mode": "sentinel", "master": "m"}
    name = key.rpartition(".")[2]
    store = redis | {name: target}
    change = {
        "secret_file": {"secret": None, name: target},
        "providers": {"providers": {"main": {"client_secret": None, name: target}}},
        "store": {"store": store},
    }[key.partition(".")[0]]
    if "introspection" in key:
        asking = {"introspection": {"client_id": "asks", name: target}}
        change = {"providers": {"main": {"access_tokens": asking}}}
    if "tombstones" in key:
        change = {"store": {"kind": "cookie", "tombstones": store}}
    assert fault(change) == f": {key}: {target}: {reason}"


def test_settings_that_have_no_end_are_said_clearly(file):
    os.mkfifo(file)
    with pytest.raises(SettingsError, match="is not a regular file, but a pipe or a device"):
        load(file)
    file.unlink()
    with file.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(SettingsError, match="is larger than 8 MB"):
        load(file)


def test_durations_and_literal_dollars(read):
    settings = read(
        {
            "secret": "$${x}" + "x" * 40,
            "session": {"lifetime": "7d", "idle": "90m"},
            "timeouts": {"connect": "500ms"},
        }
    )
    assert (settings.session.lifetime, settings.session.idle) == (604_800, 5400)
    assert settings.timeouts.connect == 0.5
    assert settings.ring()[0].get_secret_value().startswith("${x}x")


def test_environment_variables_are_filled_in_at_any_depth(read, monkeypatch):
    monkeypatch.setenv("HOST_OF_THE_WIKI", "wiki")
    hosts = ["localhost", "${HOST_OF_THE_WIKI}.example"]
    assert read({"applications": {"app": {"hosts": hosts}}}).applications["app"].hosts[1] == (
        "wiki.example"
    )


@pytest.mark.parametrize(
    "key", ["secret_file", "client_secret_file", "introspection.client_secret_file"]
)
def test_a_file_of_a_secret_that_is_empty_is_said_clearly(tmp_path, fault, key):
    (tmp_path / "empty").write_text("\n")
    path = str(tmp_path / "empty")
    if key == "secret_file":
        line = fault({"secret": None, "secret_file": path})
    elif key.startswith("introspection"):
        asking = {"client_id": "asks", "client_secret_file": path}
        line = fault({"providers": {"main": {"access_tokens": {"introspection": asking}}}})
    else:
        provider = {"client_secret": None, "client_secret_file": path}
        line = fault({"providers": {"main": provider}})
    assert line.endswith(f"{key}: {path} is empty")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"secret": None, "secret_file": "a\0b"}, "secret_file"),
        ({"store": {"path": "a\0b"}}, "store.path"),
        ({"applications": {"app": {"hosts": ["a\0b"]}}}, "applications.app.hosts[0]"),
    ],
)
def test_a_nul_is_reported_with_the_key_that_has_it(fault, change, key):
    assert fault(change) == f": {key}: contains a NUL character"


def test_text_is_parsed_as_a_file_of_that_name():
    with pytest.raises(SettingsError, match=r"(?m)^memory: x: there is no such key"):
        parse("{secret: " + "x" * 32 + ", x: 1, applications: {}}", "memory")
