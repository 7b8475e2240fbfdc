"""The list of the last traces, and the page for a trace that is not stored."""

from dataclasses import replace

import pytest
from harness import spans

from extproc.pages.traces import Filter, absent_page, trace_list
from extproc.traces import Trace, summary

GOOD = replace(
    summary(Trace(spans.TRACE, spans.callback())),
    reason="signed_in",
    application="app",
    is_problem=False,
)
BAD = replace(GOOD, trace_id="1" * 32, reason="forbidden", application="wiki", is_problem=True)
BOTH = (GOOD, BAD)


@pytest.mark.parametrize(
    ("choice", "matching"),
    [
        (Filter(), [GOOD, BAD]),
        (Filter(reason="forbidden"), [BAD]),
        (Filter(application="app"), [GOOD]),
        (Filter(application="app", reason="forbidden"), []),
        (Filter(errors=True), [BAD]),
    ],
)
def test_a_filter_takes_what_has_every_value_that_it_names(choice, matching):
    assert [each for each in BOTH if choice.takes(each)] == matching


def test_the_list_has_a_row_for_each_trace_and_says_how_many_there_are():
    page = trace_list(BOTH, BOTH, Filter())
    assert page.count("<tr><td class=time>") == 2 and "The last 2 traces" in page
    assert f"<a href='/traces/{GOOD.trace_id}'>" in page
    page = trace_list((BAD,), BOTH, Filter(errors=True))
    assert page.count("<tr><td class=time>") == 1 and "1 of 2 traces" in page
    assert "value=1 checked>" in page


def test_the_filter_offers_what_the_stored_traces_have_and_what_was_chosen():
    page = trace_list((), BOTH, Filter(reason="gone"))
    for value in ("gone", "forbidden", "signed_in"):
        assert f"<option value='{value}'" in page
    assert "<option value='gone' selected>" in page and "No trace matches." in page


def test_an_error_within_a_request_that_succeeded_is_shown():
    page = trace_list((replace(GOOD, failed=True),), BOTH, Filter())
    assert "error inside" in page
    assert "error inside" not in trace_list((replace(GOOD, failed=False),), BOTH, Filter())


def test_without_traces_the_page_says_how_to_make_one():
    assert "No trace yet." in trace_list((), (), Filter())


def test_a_trace_that_is_absent_and_a_text_that_is_no_id_are_explained():
    assert spans.TRACE in absent_page(spans.TRACE) and "tracing.sample" in absent_page(spans.TRACE)
    assert "A trace id has 32 hexadecimal digits." in absent_page("")
