"""Files that contain a secret."""

from pathlib import Path

import pytest

from extproc.settings.secret_files import read_secret


def test_the_text_is_as_it_stands_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("wörd\n")
    assert read_secret(tmp_path / "secret") == "wörd\n"


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), (b"hunter2\xff", "is not UTF-8 text")]
)
def test_a_file_that_cannot_be_used_is_an_os_error_that_quotes_nothing(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(OSError, match=reason) as caught:
        read_secret(tmp_path / "secret")
    assert "hunter2" not in repr(caught.value)
    assert caught.value.filename == str(tmp_path / "secret")


def test_a_name_that_no_file_can_have_is_an_os_error_as_well() -> None:
    with pytest.raises(OSError, match="is not the name of a file"):
        read_secret(Path("a\0b"))
