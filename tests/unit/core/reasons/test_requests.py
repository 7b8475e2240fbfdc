"""Reasons of refusals about the request, the browser, or the processor itself."""

from extproc.core.reasons import Level
from extproc.core.reasons.requests import ABORTED, CALLBACKS, OURS, REQUESTS


def test_what_any_client_can_cause_is_no_warning():
    assert all(reason.level <= Level.INFO and reason.status < 500 for reason in REQUESTS)


def test_a_callback_that_is_refused_is_an_error_of_the_client():
    assert {reason.status for reason in CALLBACKS} == {400, 403}


def test_trouble_of_the_processor_itself_is_at_least_a_warning():
    assert all(reason.level >= Level.WARNING and reason.status >= 500 for reason in OURS)


def test_without_an_answer_there_is_no_status():
    assert all(reason.status is None for reason in ABORTED)
