"""The demo's processes."""

import pytest

from extproc.demo.layout import lay_out
from extproc.demo.stack import PartDied, Stack, parts


def test_the_processor_starts_last_and_each_part_has_an_address_of_its_own(tmp_path):
    stack = parts(lay_out(tmp_path, None))
    assert [part.role for part in stack] == ["idp", "app", "envoy", "extproc"]
    assert len({part.up for part in stack}) == 4


def test_a_part_that_cannot_run_is_named_with_the_end_of_its_log(tmp_path):
    with Stack(lay_out(tmp_path, None)) as stack:
        with pytest.raises(PartDied, match=r"(idp|envoy) ended \(exit status \d+\)"):
            stack.start()
        assert stack.pids()
    assert not stack.pids(), "leaving the block ends what was started"
