"""What commands print: lines on standard output, and an error that ends the command."""

import json
import sys
import textwrap
from typing import NoReturn

WIDTH = 100  # columns


def write(text: str = "", end: str = "\n") -> None:
    """Prints to standard output immediately."""
    print(text, end=end, flush=True)


def write_json(document: object) -> None:
    """Prints one JSON document, indented."""
    write(json.dumps(document, indent=2))


def fail(reason: str) -> NoReturn:
    """Ends the command with exit code 1 and a line on standard error."""
    sys.exit(f"extproc: {reason}")


def plain(text: str) -> str:
    """The text without characters that could control a terminal, line by line.

    Spans, for example, come from any client that reaches the admin listener.
    """
    return "\n".join(
        "".join(character if character.isprintable() else "�" for character in line)
        for line in text.split("\n")
    )


def folded(text: str, first: str, rest: str) -> str:
    """The text in lines of WIDTH columns.

    first, rest: what the first line and the others begin with.
    """
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def remedy(text: str) -> str:
    """What to do about a problem, below the line that reports it."""
    return folded(plain(text), "     → ", "       ")
