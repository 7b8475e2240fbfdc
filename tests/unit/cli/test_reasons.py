"""`extproc reasons`: what a reason code means."""

import pytest

from extproc.cli.reasons import explained, status
from extproc.core.reasons import REASONS


def test_the_command_says_what_a_reason_means_and_knows_a_misspelt_one(run):
    code, printed = run("reasons", "state_mismatch")
    assert code == 0 and "400" in printed and "blocked cookies" in printed
    code, printed = run("reasons", "state_mismach")
    assert code == 1
    assert printed.startswith("extproc: no reason 'state_mismach'; similar: state_mismatch")


def test_a_word_that_is_like_no_reason_has_no_suggestion(run):
    assert run("reasons", "xyzzy") == (1, "extproc: no reason 'xyzzy'")


def test_without_a_code_there_is_a_line_for_each(run):
    code, printed = run("reasons")
    assert code == 0 and [line.split()[0] for line in printed.splitlines()] == list(REASONS)


@pytest.mark.parametrize("reason", REASONS.values(), ids=REASONS)
def test_each_is_explained_in_lines_that_fit_a_terminal(reason):
    lines = explained(reason).splitlines()
    assert lines[0] == reason.code and all(len(line) <= 100 for line in lines)
    assert status(reason) in lines[1]
