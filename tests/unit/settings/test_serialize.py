"""Settings from one process to another."""

import pytest

from extproc.settings import from_text, to_text, with_secrets


def test_settings_are_handed_over_whole_whatever_becomes_of_their_files(tmp_path, read):
    (tmp_path / "ring").write_text("a" * 32 + "\n" + "b" * 32 + "\n")
    (tmp_path / "client").write_text("s3cret\n")
    from_files = {"client_secret": None, "client_secret_file": str(tmp_path / "client")}
    (tmp_path / "asking").write_text("s4cret\n")
    asking = {"client_id": "asks", "client_secret_file": str(tmp_path / "asking")}
    changes = {
        "secret": None,
        "secret_file": str(tmp_path / "ring"),
        "providers": {"main": {**from_files, "access_tokens": {"introspection": asking}}},
        "listen": "unix:/run/x.sock",
        "timeouts": {"connect": "500ms"},
    }
    settings = with_secrets(read(changes))
    (tmp_path / "ring").unlink()
    (tmp_path / "client").write_text("other")
    (tmp_path / "asking").unlink()
    handed = from_text(to_text(settings))
    assert handed == settings and "\n" not in to_text(settings)
    assert [secret.get_secret_value()[0] for secret in handed.ring()] == ["a", "b"]
    assert handed.providers["main"].secret().get_secret_value() == "s3cret"
    handed_asking = handed.providers["main"].access_tokens.introspection
    assert handed_asking.credentials().client_secret == "s4cret"
    assert from_text(to_text(read())).providers == read().providers


@pytest.mark.parametrize(
    "change",
    [{}, {"store": {"kind": "cookie", "tombstones": {"path": "over"}}, "session": {"idle": "5m"}}],
)
def test_a_key_that_was_not_set_does_not_look_as_if_it_was(read, change):
    """With store.kind cookie a worker would refuse session.per_user."""
    settings = with_secrets(read(change))
    handed = from_text(to_text(settings))
    assert handed == settings and handed.session.per_user == 100


REDIS = {"kind": "redis", "servers": ["127.0.0.1:6379"], "username": "u", "password_file": "word"}


@pytest.mark.parametrize(
    "store", [REDIS, {"kind": "cookie", "tombstones": REDIS}], ids=["store", "tombstones"]
)
def test_a_worker_needs_no_file_of_the_store_s_password(tmp_path, monkeypatch, read, store):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "word").write_text("s3cret\n")
    settings = with_secrets(read({"store": store}))
    (tmp_path / "word").unlink()
    handed = from_text(to_text(settings)).store
    redis = handed.tombstones if store["kind"] == "cookie" else handed
    assert redis.secret().get_secret_value() == "s3cret"
