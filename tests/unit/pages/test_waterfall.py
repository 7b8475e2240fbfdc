"""The page of one trace."""

import re

from harness import spans

from extproc.pages.waterfall import trace_page
from extproc.traces import Link, Step, Trace, rows, summary

TRACE = Trace(spans.TRACE, spans.callback())


def test_every_span_is_a_line_with_a_bar_within_the_drawing():
    page = trace_page(TRACE)
    bars = re.findall(r"<rect class=c\d x=([\d.]+) width=([\d.]+) ", page)
    assert len(bars) == len(TRACE.spans)
    for left, width in bars:
        assert float(left) >= 0 and float(width) >= 2 and float(left) + float(width) <= 1000.1
    assert page.count("<details>") == len(TRACE.spans)


def test_lines_are_indented_by_depth_up_to_the_deepest_class():
    chain = tuple(spans.span(n, n - 1, "a", "x", n, n + 1) for n in range(1, 21))
    depths = re.findall(r"<span class='name d(\d+)'>", trace_page(Trace(spans.TRACE, chain)))
    assert depths == [str(min(row.depth, 12)) for row in rows(chain)]


def test_the_head_says_how_much_is_shown_and_what_did_not_fit():
    page = trace_page(Trace(spans.TRACE, spans.callback(), dropped=3))
    assert f"{len(TRACE.spans)} spans · " in page and "3 more did not fit" in page
    assert "did not fit" not in trace_page(TRACE)


def test_the_details_of_a_span_have_its_attributes_events_and_links():
    span = spans.span(
        1, 7, "a", "x", 0, 1, status="error", status_text="bad", links=(Link("2" * 32, "3" * 16),)
    )
    page = trace_page(Trace(spans.TRACE, (span,)))
    assert "<dt>status<dd>error bad" in page
    assert f"<dt>link<dd><a href='/traces/{'2' * 32}'>" in page
    assert "<dt>parent id<dd>0000000000000007<" in page
    assert "<li class='error'>" in page


def test_a_span_whose_parent_is_not_stored_says_so():
    root, orphan = spans.span(1, 0, "a", "x", 0, 9), spans.span(2, 7, "a", "y", 1, 2)
    page = trace_page(Trace(spans.TRACE, (root, orphan)))
    assert "<dt>parent id<dd>none<" in page
    assert "<dt>parent id<dd>0000000000000007 (not here)<" in page


def test_a_login_of_several_steps_is_shown_above_its_spans():
    here = Step("callback", spans.TRACE, summary(TRACE))
    absent = Step("redirect", "1" * 32, None, "link")
    page = trace_page(TRACE, (absent, here))
    assert "This login" in page and "Not sampled, or no longer here" in page
    assert page.count("aria-current=page") == 1 and "by a span link" in page
    assert "This login" not in trace_page(TRACE, (here,))
