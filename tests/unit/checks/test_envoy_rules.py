"""What a difference means: the first rule that fits, one finding for each place."""

import pytest

from extproc.checks.envoy_rules import RULES, judge
from extproc.envoyconfig.tree import Difference


def difference(path: str, wanted: str = "a", found: str = "b") -> Difference:
    return Difference(tuple(path.split("/")), wanted, found)


def test_differences_at_one_place_are_one_finding() -> None:
    route = "routes/app.example/app/match"
    match, gate = judge(
        [
            difference(f"{route}/prefix"),
            difference(f"{route}/headers"),
            difference("filters/gate/disabled"),
        ]
    )
    assert match.about == tuple(route.split("/")) and len(match.differences) == 2
    assert gate.about == ("filters", "gate") and gate.level == "error"


@pytest.mark.parametrize(
    ("path", "found", "level", "gone"),
    [
        ("filters/limit", "", "warning", True),
        ("filters/decide/processor", "", "error", True),
        ("filters/decide/processor/message_timeout", "3s", "warning", False),
        ("filters/gate", "", "error", True),
        ("filters/cors", "", "warning", True),
        (
            "routes/app.example/app/typed_per_filter_config/cors/allow_credentials",
            "",
            "error",
            False,
        ),
        ("clusters/app", "", "error", True),
        ("clusters/app/connect_timeout", "", "warning", False),
        ("something/new", "x", "warning", False),
    ],
)
def test_what_is_missing_may_be_worse_than_what_is_different(
    path: str, found: str, level: str, gone: bool
) -> None:
    (match,) = judge([difference(path, found=found)])
    assert (match.level, match.gone) == (level, gone)


def test_no_rule_is_hidden_by_one_before_it() -> None:
    for index, rule in enumerate(RULES):
        assert not [other for other in RULES[:index] if other.fits(rule.path)], rule.what
