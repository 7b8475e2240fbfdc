"""Faults of YAML in the operator's terms: the line that is wrong, what is wrong there, and the key.

A line may hold a secret, so that no more than its key is shown.
"""

import re

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.error import MarkedYAMLError

from extproc.settings.yaml_text import TWICE

# A key with its colon; a word without one may be a part of a secret.
_KEY = re.compile(r"\s*(?:- )*[A-Za-z_][A-Za-z0-9_-]{0,40}:(?=\s|$)")
_NOTHING = re.compile(r"\s*(?:#.*)?$")

# What the reader says, whether the fault is where it began, and what is wrong.
_FAULTS = (
    # The reader's own words would quote the value, which may be a secret.
    ("undefined tag handle", False, "a value that begins with *, & or ! needs quotes"),
    ("\\t", False, "a tab; YAML is indented with spaces"),
    ("unknown escape character", False, "a backslash in double quotes; use single quotes"),
    ("that cannot start any token", False, "a value that begins with @, ` or % needs quotes"),
    ("could not find expected ':'", True, "a colon is missing after the key"),
    ("quoted scalar", True, "a quote is opened and never closed"),
    ("flow sequence", True, "a bracket is opened and not closed, or a comma is missing"),
    ("flow mapping", True, "a bracket is opened and not closed, or a comma is missing"),
    ("expected <block end>", False, "the indentation does not fit the lines above it"),
)


def explain_yaml(error: yaml.YAMLError, text: str) -> tuple[int | None, str]:
    """Say where a text is not YAML, and what would be right.

    Args:
        error: what the reader met.
        text: the text that it read.

    Returns:
        The number of the line, from 1, if it is known; and the fault, with the beginning of the
        line.
    """
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return None, _said(error)
    line, what = _fault(error, text.splitlines(), error.problem_mark.line)
    return line + 1, what + _excerpt(text.splitlines(), line)


def _said(error: yaml.YAMLError) -> str:
    problem = error.problem if isinstance(error, MarkedYAMLError) else None
    return problem or "cannot be parsed"


def _fault(error: MarkedYAMLError, lines: list[str], at: int) -> tuple[int, str]:
    """The index of the line that is wrong, and what is wrong.

    The reader notices some faults only at a later line than theirs, and names where it began.
    """
    if error.problem == TWICE:
        return at, "a key stands twice in one mapping; of its values only one can count"
    if isinstance(error, ComposerError | ConstructorError):
        # The reader's own words would quote the value, which may be a secret.
        return at, "a value that begins with *, & or ! needs quotes"
    if "mapping values are not allowed" in (error.problem or ""):
        return _stray_colon(error, lines, at)
    begun = error.context_mark.line if error.context_mark is not None else at
    words = f"{error.problem} {error.context}"
    for part, at_begin, what in _FAULTS:
        if part in words:
            return begun if at_begin else at, what
    return at, _said(error)


def _stray_colon(error: MarkedYAMLError, lines: list[str], at: int) -> tuple[int, str]:
    column = error.problem_mark.column if error.problem_mark is not None else 0
    before = lines[at][:column] if at < len(lines) else ""
    if re.search(r":\s", before):
        return at, "a value that contains a colon and a blank needs quotes"
    earlier = [index for index in range(at) if not _NOTHING.match(lines[index])]
    if earlier and ":" not in lines[earlier[-1]]:
        return earlier[-1], "a colon is missing after the key"
    return at, "the indentation does not fit the lines above it"


def _excerpt(lines: list[str], at: int) -> str:
    word = _KEY.match(lines[at]) if at < len(lines) else None
    return f", at: {word[0].strip()} …" if word is not None else ""
