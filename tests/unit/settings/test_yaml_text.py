"""YAML of an operator: a key stands once."""

import pytest
import yaml

from extproc.settings import SettingsError
from extproc.settings.load import parse
from extproc.settings.yaml_text import load_yaml


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: 2\na: 3",
        "x: {groups: [admins], groups: [everyone]}",
        "- a: 1\n  a: 1",
        "1: a\n1: b",
        "a: &x {b: 1, b: 2}",
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError, match="stands twice"):
        load_yaml(text)


def test_everything_else_is_as_ever() -> None:
    text = "base: &base {a: 1, b: [x, {y: 2}]}\nmore: {<<: *base, a: 3}\n"
    assert load_yaml(text) == yaml.safe_load(text)
    assert load_yaml("") is None
    with pytest.raises(yaml.YAMLError):
        load_yaml("? [a]\n: 1\n!!python/object:os.system {}")


def test_the_operator_reads_where_and_no_value() -> None:
    text = "allow: 1\nsecret: canary\nallow: 2\n"
    with pytest.raises(SettingsError, match=r":3: .*a key stands twice") as caught:
        parse(text)
    assert "canary" not in str(caught.value)
