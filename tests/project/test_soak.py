"""The soak works: a short run asserts all that hours assert, and finds what it should find."""

import httpx
import pytest
from soaking.__main__ import main
from soaking.people import Findings
from soaking.watch import Line, fit


@pytest.mark.attack("REL-19", "REL-32")
@pytest.mark.heavy
def test_a_short_soak_is_in_order_and_writes_its_report(tmp_path) -> None:
    report = tmp_path / "soak.txt"
    code = main(["--minutes", "0.25", "--people", "6", "--growth", "30", "--report", str(report)])
    text = report.read_text()
    assert code == 0 and text.endswith("in order\n"), text
    assert all(
        deed in text for deed in ("login", "asked", "logout", "backchannel", "reset", "SIGHUP")
    )
    assert (tmp_path / "soak.txt.svg").read_text().count("<polyline") == 7


@pytest.mark.parametrize(
    ("deed", "status", "killing", "wrong"),
    [
        ("page", 200, False, False),
        ("page", 502, False, False),
        ("page", 500, False, True),
        ("page", 400, False, True),
        ("page", 400, True, False),
        ("ended", 401, False, False),
        ("ended", 200, True, True),
        ("tampered", 200, False, True),
    ],
)
def test_an_answer_that_is_not_documented_is_a_finding(deed, status, killing, wrong) -> None:
    findings = Findings(killing=killing)
    assert findings.saw(deed, httpx.Response(status)) == status
    assert bool(findings.wrong) == wrong and findings.answers[deed, status] == 1


@pytest.mark.parametrize(
    ("sub", "email", "wrong"),
    [
        ("u1", "u1@example.com", False),
        ("u2", "u2@example.com", True),
        ("u1", "u2@example.com", True),
        (None, None, True),
    ],
)
def test_a_page_that_shows_somebody_else_is_a_finding(sub, email, wrong) -> None:
    findings = Findings()
    findings.compare(
        "u1", httpx.Response(200, json={"headers": [["x-auth-sub", sub], ["x-auth-email", email]]})
    )
    assert bool(findings.wrong) == wrong and findings.compared == 1


@pytest.mark.parametrize(
    ("points", "line"),
    [
        ([], Line(0, 0)),
        ([(1, 5)], Line(5, 0)),
        ([(0, 1), (1, 3), (2, 5)], Line(1, 2)),
        ([(0, 2), (1, 1), (2, 2), (3, 1), (4, 2)], Line(1.6, 0)),
    ],
)
def test_the_line_through_the_samples(points, line) -> None:
    found = fit(points)
    assert (round(found.start, 6), round(found.slope, 6)) == (line.start, line.slope)
