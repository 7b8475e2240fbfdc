"""Files that contain a secret, as the settings name them."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from extproc.settings.files import SECRET_LIMIT, read_file


def read_secret(path: Path) -> str:
    """Return the text of a secret's file, with the blanks that it has.

    Raises OSError when the file cannot be read or is not text. Its `strerror` quotes nothing of the
    content, which a UnicodeDecodeError would.
    """
    content = read_file(path, SECRET_LIMIT)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "is not UTF-8 text", str(path)) from None


@contextmanager
def named(key: str) -> Iterator[None]:
    """A file is read within the block. An OSError becomes a ValueError that names the key, the file
    and the reason.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise ValueError(f"{key}: {error.filename}: {reason}") from None
