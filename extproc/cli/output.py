"""What commands print: lines on standard output, and an error that ends the command."""

import json
import os
import sys
import textwrap
from collections.abc import Mapping
from typing import Literal, NoReturn

WIDTH = 100  # columns
Color = Literal["red", "green", "yellow", "cyan"]
# SGR parameters (ECMA-48).
_CODES: Mapping[Color, int] = {"red": 31, "green": 32, "yellow": 33, "cyan": 36}


def write(text: str = "", end: str = "\n") -> None:
    """Prints to standard output immediately."""
    print(text, end=end, flush=True)


def write_json(document: object) -> None:
    """Prints one JSON document, indented."""
    write(json.dumps(document, indent=2))


class CommandFailed(SystemExit):
    """The command cannot do what it is asked for. `reason` is for the operator, in one line."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"extproc: {reason}")
        self.reason = reason


def fail(reason: str) -> NoReturn:
    """Ends the command with exit code 1, and the reason on standard error or as JSON."""
    raise CommandFailed(reason)


def colored(text: str, color: Color) -> str:
    """The text in a colour, on a terminal whose user did not refuse colours (NO_COLOR)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{_CODES[color]}m{text}\033[0m"


def plain(text: str) -> str:
    """The text without characters that could control a terminal, line by line.

    Spans, for example, come from any client that reaches the admin listener.
    """
    return "\n".join(
        "".join(character if character.isprintable() else "�" for character in line)
        for line in text.split("\n")
    )


def field(text: str) -> str:
    """The text on one line, without characters that could control a terminal or forge a line.

    A provider chooses `sub` and `sid`, and a client its name.
    """
    return plain(text).replace("\n", "�")


def folded(text: str, first: str, rest: str) -> str:
    """The text in lines of WIDTH columns.

    first, rest: what the first line and the others begin with.
    """
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest)


def remedy(text: str) -> str:
    """What to do about a problem, below the line that reports it."""
    return folded(plain(text), "     → ", "       ")
