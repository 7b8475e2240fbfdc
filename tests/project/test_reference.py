"""Documents that are generated from the code are up to date."""

import re
from pathlib import Path

import yaml
from reference import REASONS_PARTS, reasons, reference

from extproc.core.reasons import REASONS
from extproc.settings import Settings
from extproc.settings.load import parse

REFERENCE = Path(__file__).parents[2] / "docs" / "settings.md"
RIGHT = {
    "secret": "x" * 32,
    "providers": {"main": {"issuer": "https://idp.example", "client_id": "x"}},
    "applications": {
        "app": {
            "hosts": ["localhost"],
            "upstream": "http://127.0.0.1:1",
            "provider": "main",
            "cors": {"origins": ["https://portal.example"]},
            "allow": {"emails": ["a@portal.example"]},
            "rules": [{"name": "admin", "paths": ["/admin/"]}],
            "identity": {"headers": {"x-team": {"claim": "team"}}},
        }
    },
}
# Defaults of sections that cannot be written beside those of another: a kind of store but the
# default one, and TLS, which has files of its own.
NOT_BESIDE = (", kind redis", ", kind cookie", "tls`")


def documented() -> dict[str, object]:
    """RIGHT, with every default of docs/settings.md written out as it stands there."""
    document = yaml.safe_load(yaml.safe_dump(RIGHT))
    for section in re.split(r"(?m)^## ", REFERENCE.read_text())[1:]:
        title, _, body = section.partition("\n")
        if title.endswith(NOT_BESIDE) or ("`" not in title and title != "The file"):
            continue
        place = title.partition(",")[0].strip("`")
        for key, value in re.findall(r"(?m)^\| `(\w+)` \| `(.+?)` \|", body):
            _put(document, place, key, yaml.safe_load(value))
    return document


def _put(document: dict, place: str, key: str, value: object) -> None:
    names = {"providers": "main", "applications": "app", "headers": "x-team"}
    here, before = document, ""
    for part in [] if place == "The file" else place.split("."):
        here = here.setdefault(names[before] if part == "NAME" else part, {})
        if isinstance(here, list):
            here = here[0]
        before = part
    here.setdefault(key, value)


def test_the_settings_reference_is_fresh():
    assert (Path(__file__).parents[2] / "docs" / "settings.md").read_text() == reference()


def test_the_defaults_of_the_reference_are_what_the_settings_have_without_them():
    document = documented()
    assert document["listen_mode"] == "0660" and document["limits"]["streams"] == 20_000
    assert parse(yaml.safe_dump(document)) == parse(yaml.safe_dump(RIGHT))
    assert isinstance(parse(yaml.safe_dump(RIGHT)), Settings)


def test_the_page_of_reasons_is_fresh_and_has_each_once():
    assert (Path(__file__).parents[2] / "docs" / "reasons.md").read_text() == reasons()
    codes = [row.code for _, rows in REASONS_PARTS for row in rows]
    assert sorted(codes) == sorted(REASONS)
