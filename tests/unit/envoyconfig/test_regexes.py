"""What the patterns match, and what they do not."""

import re

from extproc.envoyconfig.regexes import public


def test_patterns_match_what_they_say() -> None:
    assert re.fullmatch(public("/a/"), "/a/b%20c/%E2%82%AC")
    assert not re.fullmatch(public("/a/"), "/a")
    assert re.fullmatch(public("/a"), "/a")
    assert not re.fullmatch(public("/a"), "/ab")
    assert not re.fullmatch(public("/a.b"), "/axb")
