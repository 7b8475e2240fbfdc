"""The examples of docs/identity.md are settings that load, and its table has the presets."""

from pathlib import Path

import pytest
from harness.examples import examples, loaded

from extproc.envoyconfig import to_yaml
from extproc.settings.identity_headers import PRESETS

TEXT = (Path(__file__).parents[2] / "docs" / "identity.md").read_text()
EXAMPLES = examples(TEXT)


def test_the_document_has_its_examples() -> None:
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("heading", EXAMPLES)
def test_an_example_loads_and_envoy_s_configuration_can_be_made_of_it(heading: str) -> None:
    settings = loaded(EXAMPLES[heading])
    assert settings.own_identity_headers
    assert all(
        f"header_name: {name}" in to_yaml(settings) for name in settings.own_identity_headers
    )


def test_each_preset_is_in_the_table_with_the_header_of_the_user() -> None:
    for preset, headers in PRESETS.items():
        (user,) = (header for header, claim in headers.items() if claim == "sub")
        assert any(f"`{preset}`" in line and f"`{user}`" in line for line in TEXT.splitlines())
