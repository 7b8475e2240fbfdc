"""The envoy program."""

from pathlib import Path

from extproc.envoyconfig import find_envoy, validate


def test_validate_says_when_there_is_no_such_program(tmp_path: Path) -> None:
    assert validate("", tmp_path / "envoy") == [f"{tmp_path}/envoy: No such file or directory"]
    assert find_envoy() is not None
