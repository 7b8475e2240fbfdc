"""Documents that are generated from the code are up to date."""

from pathlib import Path

from reference import REASONS_PARTS, reasons, reference

from extproc.core.reasons import REASONS


def test_the_settings_reference_is_fresh():
    assert (Path(__file__).parents[2] / "docs" / "settings.md").read_text() == reference()


def test_the_page_of_reasons_is_fresh_and_has_each_once():
    assert (Path(__file__).parents[2] / "docs" / "reasons.md").read_text() == reasons()
    codes = [row.code for _, rows in REASONS_PARTS for row in rows]
    assert sorted(codes) == sorted(REASONS)
