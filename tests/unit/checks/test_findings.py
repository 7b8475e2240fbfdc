"""Findings have the level of the function that made them."""

from extproc.checks.findings import error, ok, skipped, warning


def test_a_finding_is_an_error_a_warning_or_all_right() -> None:
    assert [each.level for each in (error("a", "b", "c"), warning("a", "b", "c"))] == [
        "error",
        "warning",
    ]
    assert (ok("a", "b").level, ok("a", "b").remedy) == ("ok", "")
    assert skipped("a", "b", "c").level == "skipped"
