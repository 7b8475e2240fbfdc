"""Spellings of a path that some server reads as another path."""

import re
from typing import Any

import pytest

from extproc.envoyconfig.spellings import dot_segments, pieces, readings


@pytest.mark.parametrize("pattern", [dot_segments, lambda prefix: readings(prefix, ["a"]), pieces])
def test_patterns_stay_below_their_prefix(pattern: Any) -> None:
    for path in ("/ab/..;/x", "/a.b/..;/x", "/", "/ab/A/x", "/x/a.b/%25%2532%2565"):
        assert not re.fullmatch(pattern("/a.b/"), path.replace("a.b", "axb")), path


def test_patterns_match_what_they_say() -> None:
    for function, pattern in (
        (dot_segments, dot_segments("/")),
        (readings, readings("/", ["payroll"])),
    ):
        _, yes, no = re.split(r"\b(?:yes|no): ", function.__doc__ or "", flags=re.I)
        for path in yes.split():
            assert re.fullmatch(pattern, path), path
        for path in no.split():
            assert not re.fullmatch(pattern, path), path
