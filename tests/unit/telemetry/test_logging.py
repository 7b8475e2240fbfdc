"""One line in the log for each event."""

import logging

import pytest

from extproc import telemetry


def test_a_line_has_its_fields_and_none_of_those_without_a_value(caplog):
    caplog.set_level("INFO", "extproc")
    telemetry.log(logging.INFO, "answered", reason="signed_in", provider=None)
    (record,) = caplog.records
    assert (record.message, record.reason) == ("answered", "signed_in")
    assert "provider" not in record.__dict__ and record.exc_info is None


def test_a_line_below_the_level_is_not_written(caplog):
    caplog.set_level("WARNING", "extproc")
    telemetry.log(logging.INFO, "answered")
    assert caplog.records == []
    assert not telemetry.is_logged(logging.INFO) and telemetry.is_logged(logging.WARNING)


def test_the_traceback_of_a_bug_is_kept(caplog):
    error = LookupError("mine")
    telemetry.log(logging.ERROR, "internal_error", exc_info=error)
    assert caplog.records[0].exc_info[1] is error


def test_a_field_cannot_take_the_place_of_a_field_of_the_record():
    with pytest.raises(KeyError):
        telemetry.log(logging.ERROR, "answered", message="other")
