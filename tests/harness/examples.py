"""The settings in the examples of a document, and what they are parts of."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from extproc.settings import Settings
from extproc.settings.load import parse

BASE: dict[str, Any] = {
    "secret": "x" * 32,
    "gateway": {"url": "https://app.example.com"},
    "providers": {"main": {"issuer": "https://idp.example", "client_id": "gateway"}},
    "applications": {
        "app": {"hosts": ["app.example.com"], "upstream": "http://127.0.0.1:1", "provider": "main"}
    },
}


def examples(text: str) -> dict[str, Any]:
    """The YAML of the document by the heading that it stands below."""
    found: dict[str, Any] = {}
    for section in re.split(r"(?m)^#{1,3} ", text)[1:]:
        heading = section.partition("\n")[0]
        for number, block in enumerate(re.findall(r"(?ms)^```yaml\n(.*?)^```$", section)):
            found[f"{heading} {number}" if number else heading] = yaml.safe_load(block)
    return found


def merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(base)
    for key, value in more.items():
        before = both.get(key)
        both[key] = merged(before, value) if isinstance(before, dict) else value
    return both


def loaded(example: Mapping[str, Any]) -> Settings:
    return parse(yaml.safe_dump(merged(BASE, example)))
