"""Whether the settings file or a file of secrets changed; more of it with the reload of a running
processor, in tests/unit/runtime/test_reload.py.
"""

import yaml

from extproc.settings.watch import Source, secret_files

A, B = "a" * 32, "b" * 32


def write(file, right, **more):
    file.write_text(yaml.safe_dump(right | more))


def test_the_override_is_applied_to_every_load(file, right):
    def debug(settings):
        return settings.model_copy(
            update={"log": settings.log.model_copy(update={"level": "DEBUG"})}
        )

    source = Source(file, debug)
    write(file, right)
    assert source.load().log.level == "DEBUG"
    write(file, right, session={"idle": 60})
    settings = source.load()
    assert (settings.log.level, settings.session.idle) == ("DEBUG", 60)


def test_a_file_that_new_settings_name_is_watched_once_they_are_loaded(tmp_path, file, right):
    (tmp_path / "ring").write_text(A)
    source = Source(file)
    write(file, right)
    source.load()
    (tmp_path / "ring").write_text(A + "\n")
    assert [source.changed(), source.changed()] == [False, False]
    write(file, {**right, "secret": None, "secret_file": str(tmp_path / "ring")})
    assert source.load().ring()[0].get_secret_value() == A
    assert source.changed() is False
    (tmp_path / "ring").write_text(B)
    assert [source.changed(), source.changed(), source.changed()] == [False, True, False]


def test_the_secret_of_the_introspecting_client_is_watched(tmp_path, file, right, read):
    asking = {"client_id": "asks", "client_secret_file": str(tmp_path / "asking")}
    (tmp_path / "asking").write_text("s3cret")
    settings = read({"providers": {"main": {"access_tokens": {"introspection": asking}}}})
    assert secret_files(settings) == (tmp_path / "asking",)
