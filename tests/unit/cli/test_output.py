"""What commands print."""

import pytest

from extproc.cli.output import fail, field, plain, remedy


def test_nothing_that_is_printed_can_control_a_terminal():
    assert plain("a\x1b[31mb\r\x00\u202e\nc é →") == "a�[31mb���\nc é →"


def test_a_field_is_one_line():
    assert field("a\r\nb\x1b[31m c") == "a��b�[31m c"


def test_a_long_remedy_is_folded_below_its_arrow():
    lines = remedy("word " * 60).splitlines()
    assert len(lines) > 1 and all(len(line) <= 100 for line in lines)
    assert lines[0].startswith("     → word") and lines[1].startswith("       word")


def test_a_failure_ends_the_command_with_a_line_for_standard_error():
    with pytest.raises(SystemExit) as ended:
        fail("no such thing")
    assert ended.value.code == "extproc: no such thing"
