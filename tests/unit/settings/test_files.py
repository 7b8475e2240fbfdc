"""Files that the settings name: regular ones of a bounded size, and files replaced whole."""

import os
import ssl
from pathlib import Path

import pytest
from harness.certificates import Authority

from extproc.settings.files import (
    client_context,
    read_argument,
    read_file,
    replace_file,
    require_regular,
    trust_also,
)


def test_a_file_is_read_whole_up_to_its_limit(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100)
    (tmp_path / "link").symlink_to("file")
    assert read_file(tmp_path / "link", 100) == b"x" * 100
    require_regular(tmp_path / "link", 100)
    for read in (read_file, require_regular, read_argument):
        with pytest.raises(OSError, match="is larger than 0 kB") as refused:
            read(tmp_path / "file", 99)
        assert refused.value.filename == str(tmp_path / "file")


def test_a_file_whose_size_the_system_does_not_know_is_read(tmp_path: Path) -> None:
    assert b"VmRSS" in read_file(Path("/proc/self/status"), 1 << 20)
    with pytest.raises(OSError, match="is larger than"):
        read_file(Path("/proc/self/status"), 10)


@pytest.mark.parametrize("read", [read_file, require_regular])
def test_what_may_have_no_end_is_refused_with_its_name(tmp_path: Path, read) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name, why in {
        "pipe": "is not a regular file",
        "device": "is not a regular file",
        ".": "is a directory",
        "gone": "No such file",
        "a\0b": "is not the name of a file",
    }.items():
        path = tmp_path / name
        with pytest.raises(OSError, match=why) as refused:
            read(path, 1 << 20)
        assert refused.value.filename == path or refused.value.filename == str(path)


def test_an_argument_may_be_a_pipe_but_has_a_limit(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"cookie")
    os.close(writer)
    assert read_argument(Path(f"/dev/fd/{reader}"), 6) == b"cookie"
    os.close(reader)
    with pytest.raises(OSError, match="is larger than 64 kB"):
        read_argument(Path("/dev/zero"), 64 << 10)


def test_authorities_of_a_file_are_trusted_alone_or_as_well(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(Authority().pem)
    assert client_context(ca).cert_store_stats()["x509_ca"] == 1
    context = ssl.create_default_context()
    before = context.cert_store_stats()["x509_ca"]
    trust_also(context, ca)
    assert context.cert_store_stats()["x509_ca"] == before + 1
    assert client_context(None).cert_store_stats()["x509_ca"] == before


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"text", "holds no certificate in PEM"), (None, "No such file")],
)
def test_authorities_that_are_none_are_refused_with_the_name_of_their_file(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_bytes(content)
    for use in (client_context, lambda path: trust_also(ssl.create_default_context(), path)):
        with pytest.raises(OSError, match=why) as refused:
            use(ca)
        assert str(refused.value.filename) == str(ca)


def test_a_file_is_replaced_whole_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "file", tmp_path / "elsewhere"
    path.write_text("old")
    elsewhere.write_text("another's")
    # what another user of the directory may have put there
    (tmp_path / ".file.new").symlink_to(elsewhere)
    replace_file(path, "new")
    assert (path.read_text(), elsewhere.read_text()) == ("new", "another's")
    os.mkfifo(tmp_path / ".file.new")
    replace_file(path, "newer")
    assert path.read_text() == "newer"
    assert {each.name for each in tmp_path.iterdir()} == {"file", "elsewhere"}


def test_a_pipe_or_a_device_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a regular file"):
        replace_file(tmp_path / "pipe", "text")
    assert (tmp_path / "pipe").is_fifo()
