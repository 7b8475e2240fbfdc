"""Reasons of requests that are not refused."""

from extproc.core.reasons import Level
from extproc.core.reasons.outcomes import ADMITTED, ANSWERED


def test_what_continues_to_the_application_has_no_status_and_is_no_news():
    assert all(reason.status is None and reason.level is Level.DEBUG for reason in ADMITTED)


def test_what_the_processor_answers_by_itself_is_a_page_or_a_redirect():
    assert {reason.status for reason in ANSWERED} == {200, 303}
    assert all(reason.level <= Level.INFO for reason in ANSWERED)
