"""What is said of a settings file that is not YAML: the right line, what is wrong, and no secret."""

import pytest

from extproc.settings import SettingsError
from extproc.settings.load import parse


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("providers:\n  main\n    issuer: https://x\n", ":2: is not YAML: a colon is missing"),
        ("secret canary\nb: 1\n", ":1: is not YAML: a colon is missing"),
        ('a: 1\nsecret "canary"\n', ":2: is not YAML: a colon is missing"),
        ("a:\n  b: 1\n c: 2\n", ":3: is not YAML: the indentation does not fit"),
        ("a: b\n\n  c: d\n", ":3: is not YAML: the indentation does not fit"),
        ("a:\n- b: 1\n  - canary\n", ":3: is not YAML: the indentation does not fit"),
        ("a:\n\tb: 1\n", ":2: is not YAML: a tab; YAML is indented with spaces, at: b: …"),
        ("x: 1\nsecret: canary: x\n", ":2: is not YAML: a value that contains a colon"),
        ('x: 1\na: "canary\nb: 1\n', ":2: is not YAML: a quote is opened and never closed, at: a:"),
        ("x: 1\nhosts: [canary, b\nurl: x\n", ":2: is not YAML: a bracket is opened"),
        ("x: {a: canary\n", ":1: is not YAML: a bracket is opened"),
        ('x: 1\nsecret: "%@canary\\q"\n', ":2: is not YAML: a backslash in double quotes"),
        ("x: 1\nsecret: @canary\n", ":2: is not YAML: a value that begins with @, ` or %"),
        ("x: 1\nsecret: *canary\n", ":2: is not YAML: a value that begins with *, & or !"),
        ("x: 1\nsecret: !canary!def\n", ":2: is not YAML: a value that begins with *, & or !"),
        ("secret:\n  - canary\n  - canary2\n - x\n", ":4: is not YAML: "),
    ],
)
def test_the_line_of_the_fault_is_named_with_its_key_and_without_a_value(text, said):
    with pytest.raises(SettingsError) as caught:
        parse(text, "extproc.yaml")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"extproc.yaml{said}") and "canary" not in line, line


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n", "---\n"])
def test_an_empty_file_is_called_empty_and_the_next_step_is_named(text):
    with pytest.raises(SettingsError, match=r"^extproc\.yaml: is empty; README\.md"):
        parse(text, "extproc.yaml")


def test_settings_in_any_bytes_are_read_or_explained_in_one_line():
    for text in ("\0", "a: \x07", "\ufeff a: [", "%", "? {[", "&a", "a: !!binary 5", "- - -"):
        with pytest.raises(SettingsError) as caught:
            parse(text, "extproc.yaml")
        assert len(str(caught.value).splitlines()) == 1, text
