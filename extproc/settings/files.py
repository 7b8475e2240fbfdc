"""Files that the settings or the command line name: reading regular ones of a bounded size, and
replacing one whole.

A FIFO keeps its reader waiting for a writer, and a device such as /dev/zero has no end: a slip in
the settings would stop the processor, or take all memory of its machine.
"""

import errno
import os
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Bytes. An application takes some 400 of them.
SETTINGS_LIMIT = 8 << 20
# The authorities of a whole system are a quarter of a megabyte.
PEM_LIMIT = 4 << 20
SECRET_LIMIT = 64 << 10
_BLOCK = 1 << 20


def read_file(path: Path, limit: int) -> bytes:
    """Read a whole regular file.

    Args:
        path: of the file; links are followed.
        limit: bytes that it may have.

    Raises:
        OSError: it cannot be read, is not a regular file, or is longer. `filename` and `strerror`
            are set, and neither quotes the content.
    """
    descriptor = _open(path)
    try:
        blocks: list[bytes] = []
        length = 0
        while block := os.read(descriptor, _BLOCK):
            blocks.append(block)
            length += len(block)
            if length > limit:
                # The size that the system names is 0 for a file of /proc.
                raise _refused(path, errno.EFBIG, f"is larger than {_size(limit)}")
        return b"".join(blocks)
    except OSError as error:
        # os.read() knows no name.
        raise _refused(path, error.errno or errno.EIO, error.strerror or "") from None
    finally:
        os.close(descriptor)


def require_regular(path: Path, limit: int) -> None:
    """Check a file before a library reads it by its name.

    Args:
        path: of the file; links are followed.
        limit: bytes that it may have.

    Raises:
        OSError: as of `read_file`.
    """
    descriptor = _open(path)
    try:
        if os.fstat(descriptor).st_size > limit:
            raise _refused(path, errno.EFBIG, f"is larger than {_size(limit)}")
    finally:
        os.close(descriptor)


def read_argument(path: Path, limit: int) -> bytes:
    """Read a file that the user names on the command line, and that may be a pipe.

    Args:
        path: of the file, such as /dev/stdin.
        limit: bytes that it may have.

    Raises:
        OSError: it cannot be read, or is longer.
    """
    with path.open("rb") as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise _refused(path, errno.EFBIG, f"is larger than {_size(limit)}")
    return content


def client_context(ca_file: Path | None) -> ssl.SSLContext:
    """The TLS context of a client that trusts the authorities of a PEM file, or the system's if
    there is none.

    Raises OSError, whose `filename` and `strerror` say which file cannot be used and why.
    """
    if ca_file is None:
        return ssl.create_default_context()
    with _pem(ca_file):
        return ssl.create_default_context(cafile=ca_file)


def trust_also(context: ssl.SSLContext, ca_file: Path) -> None:
    """Add the authorities of a PEM file to a context. Raises OSError as `client_context` does."""
    with _pem(ca_file):
        context.load_verify_locations(ca_file)


@contextmanager
def _pem(path: Path) -> Iterator[None]:
    """The file is read by OpenSSL, within the block. Raises OSError."""
    require_regular(path, PEM_LIMIT)
    try:
        yield
    except ssl.SSLError:
        raise _refused(path, errno.EINVAL, "holds no certificate in PEM") from None


def replace_file(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    Raises OSError. A pipe or a device is refused: /dev/null would become a file.
    """
    if path.exists() and not path.is_file():
        raise _refused(path, errno.EINVAL, "is not a regular file")
    draft = path.with_name(f".{path.name}.new")
    # One that an interrupted writer left. Another user of the directory may also have put a link
    # or a FIFO there, which would be written to.
    draft.unlink(missing_ok=True)
    with draft.open("x") as stream:
        stream.write(text)
    draft.replace(path)


def _open(path: Path) -> int:
    """A descriptor of a regular file. Raises OSError."""
    try:
        # To open a device may do something, such as rewinding a tape.
        _require_regular(path, path.stat().st_mode)
        # It may have become a FIFO meanwhile, whose opening waits for a writer without O_NONBLOCK.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except ValueError:
        # A NUL, which no path has.
        raise _refused(path, errno.EINVAL, "is not the name of a file") from None
    try:
        _require_regular(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise _refused(path, errno.EISDIR, "is a directory, and a file is needed")
    if not stat.S_ISREG(mode):
        raise _refused(path, errno.EINVAL, "is not a regular file, but a pipe or a device")


def _refused(path: Path, number: int, why: str) -> OSError:
    return OSError(number, why, str(path))


def _size(limit: int) -> str:
    return f"{limit >> 20} MB" if limit >= 1 << 20 else f"{limit >> 10} kB"
