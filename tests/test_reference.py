"""Documents that are made from the code are as fresh as the code."""

from pathlib import Path

from reference import reference


def test_the_settings_reference_is_fresh():
    assert (Path(__file__).parents[1] / "docs" / "settings.md").read_text() == reference()
