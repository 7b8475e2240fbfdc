"""The examples of docs/api-callers.md are settings that load, and of which nothing is warned; what its
tables say of providers can be set.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness.examples import BASE, examples, loaded, merged

from extproc.checks.lint_bearer import lint_bearer
from extproc.core.reasons import REASONS
from extproc.envoyconfig import to_yaml

DOCUMENT = Path(__file__).parents[2] / "docs" / "api-callers.md"
TEXT = DOCUMENT.read_text()
EXAMPLES = examples(TEXT)
FIRST = EXAMPLES["API callers"]
# what the parts of some examples stand beside
PARTNERS = {"partners": {"issuer": "https://partners.example", "client_id": "gateway"}}
SECRET = {"introspection": {"client_secret": "s", "client_secret_file": None}}


def whole(heading: str) -> dict[str, Any]:
    """An example as a part of the first one."""
    example = merged(FIRST, EXAMPLES[heading]) if heading != "MCP" else EXAMPLES[heading]
    if heading == "Several providers":
        example = merged({"providers": PARTNERS}, example)
    if heading == "Opaque tokens":
        client = example["providers"]["main"]["access_tokens"]["introspection"]
        assert client.pop("client_secret_file").startswith("/etc/extproc/")
        client["client_secret"] = "s"
    return example


def test_the_first_example_works_with_ten_lines() -> None:
    block = TEXT.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(block) == FIRST and len(block.splitlines()) <= 10


@pytest.mark.parametrize("heading", EXAMPLES)
def test_each_example_loads_and_nothing_is_warned_of(heading: str) -> None:
    settings = loaded(whole(heading))
    assert settings.accepted and list(lint_bearer(settings)) == []
    assert "resource-metadata" in to_yaml(settings)


def rows() -> list[tuple[str, str]]:
    """Each provider of the table, and the settings in its row."""
    section = TEXT.partition("\n## The access tokens of providers\n")[2].partition("\n## ")[0]
    table = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    return [(cells[0].strip("| "), cells[1]) for cells in table if not cells[0].startswith("|-")]


@pytest.mark.parametrize(("provider", "settings"), rows())
def test_what_a_provider_needs_can_be_set(provider: str, settings: str) -> None:
    keys = re.findall(r"`([a-z_]+: [^`]+)`", settings)
    assert keys or "nothing" in settings
    tokens = {name: value for key in keys for name, value in yaml.safe_load(key).items()}
    example = merged(FIRST, {"providers": {"main": {**BASE["providers"]["main"]}}})
    example["providers"]["main"]["access_tokens"] = tokens
    made = loaded(example)
    assert (
        made.providers["main"].access_tokens.model_dump(exclude_unset=True).keys() == tokens.keys()
    )


def test_every_reason_that_is_named_exists() -> None:
    codes = set(re.findall(r"`(bearer_token_[a-z_]+|too_many_[a-z_]+)`", TEXT))
    assert codes and codes <= REASONS.keys()
