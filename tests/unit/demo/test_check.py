"""The expectations of the demo's check."""

from extproc.demo.check import Report


def test_an_expectation_that_fails_is_kept_with_what_was_there_instead(capsys):
    expect = Report()
    expect(True, "the application answered 200", 200)
    expect(False, "the path is the same", "/other")
    expect(False, "nothing is left")
    assert expect.failed == ["the path is the same: /other", "nothing is left"]
    assert capsys.readouterr().out.splitlines() == [
        "  ✓ the application answered 200",
        "  ✗ the path is the same: /other",
        "  ✗ nothing is left",
    ]
