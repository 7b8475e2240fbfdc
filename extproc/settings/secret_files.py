"""Files that contain a secret, as the settings name them."""

import errno
from pathlib import Path


def read_secret(path: Path) -> str:
    """Return the text of a secret's file, with the blanks that it has.

    Raises OSError when the file cannot be read or is not text. Its `strerror` quotes nothing of the
    content, which a UnicodeDecodeError would.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, "is not UTF-8 text", str(path)) from None
    except ValueError:
        # A NUL, which no path has.
        raise OSError(errno.EINVAL, "is not the name of a file", str(path)) from None
