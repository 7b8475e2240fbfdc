"""docs/threats.md is generated from markers, and each promise of SECURITY.md names its tests."""

from pathlib import Path

import pytest
from attack.promises import NO_PROMISE, Promises, attacks, clauses, promises
from threats import holders, page, threats

ROOT = Path(__file__).parents[2]
SECURITY = """# Security
## Who attacks
| who | can | cannot |
|---|---|---|
| a stranger | send bytes | read a page (or, with `a, b`, two), write a header. Nothing else |
| a network | nothing, unless told | |
## Where trust ends
- **Envoy** is trusted; the
  network is not.
## What is promised
1. One answer; no silence.
## What is not
Volume; a stolen
browser.
"""
CLAUSES = [
    "a stranger cannot read a page (or, with `a, b`, two)",
    "a stranger cannot write a header",
    "a stranger cannot Nothing else",
    "a network can nothing, unless told",
    "Envoy is trusted",
    "the network is not",
    "One answer",
    "no silence",
    "not promised: Volume",
    "not promised: a stolen browser",
]


def test_threats_md_is_what_the_markers_of_the_tests_make_it():
    assert (ROOT / "docs/threats.md").read_text() == page(), (
        "python tools/threats.py > docs/threats.md"
    )


def test_every_threat_is_held_by_tests_and_every_marker_names_a_threat():
    keys, held = [threat.key for threat in threats()], holders()
    assert len(keys) == len(set(keys)) > 15
    assert set(held) == set(keys)


def test_every_promise_of_security_md_is_attacked_by_tests_that_exist():
    found = promises()
    assert len(found.clauses) > 40
    assert found.faults == []


def test_every_clause_of_security_md_is_read():
    assert clauses(SECURITY) == CLAUSES


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ("write a header", "nobody attacks: a stranger cannot write a header"),
        ("no silence", "nobody attacks: no silence"),
        ("Volume", "nobody attacks: not promised: Volume"),
    ],
)
def test_a_clause_that_is_new_or_says_something_else_has_to_be_mapped_again(
    changed: str, fault: str
):
    named = {clause: ["test_a"] for clause in clauses(SECURITY.replace(changed, "as it was"))}
    faults = Promises(clauses(SECURITY), "", named, {"test_a"}).faults
    assert faults[0] == fault and faults[1].startswith("is in no document: ") and len(faults) == 2


def test_a_test_that_is_gone_a_clause_without_any_and_a_sentence_that_nobody_says_are_faults():
    named = attacks(
        "# a comment\na\n    test_a\n    test_gone\nb\nin the page\n    no promise: it says "
        "why\nnowhere\n    test_a\n"
    )
    assert named["in the page"] == [f"{NO_PROMISE} it says why"]
    assert Promises(["a", "b"], "what is in the page", named, {"test_a"}).faults == [
        "nobody attacks: b",
        "is in no document: nowhere",
        "there is no test_gone, which is to attack: a",
    ]
