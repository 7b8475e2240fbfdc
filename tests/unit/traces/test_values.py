"""Values of a trace."""

from harness import spans

from extproc.traces import TraceStore
from extproc.traces.values import LazySpan


def test_a_span_is_read_only_when_it_is_shown_and_is_not_kept_as_an_object():
    read = []

    def load():
        read.append(1)
        return spans.span(1, 0, "a", "x", 0, 1)

    store = TraceStore()
    store.take([LazySpan(spans.TRACE, f"{1:016x}", 1_000_000, False, (), 100, load)])
    assert read == []
    assert [spans.recent(store), spans.recent(store)] == [(store.trace(spans.TRACE),)] * 2 and len(
        read
    ) == 3


def test_an_attribute_is_the_first_of_several_names_that_the_span_has():
    span = spans.span(1, 0, "a", "x", 0, 1, attributes=(("old", "1"), ("older", "2")))
    assert span.attribute("new", "older", "old") == "2"
    assert span.attribute("new") == ""


def test_a_span_that_ends_before_it_starts_has_no_duration():
    assert spans.span(1, 0, "a", "x", 5, 3).duration_ns == 0
    assert spans.span(1, 0, "a", "x", 3, 5).duration_ns == 2_000_000
