"""A trace as a tree of its spans, and the tree as text."""

import pytest
from harness import spans

from extproc.traces import duration, render, rows
from extproc.traces.tree import outcome, short_name

ENVOYS = "async envoy.service.ext_proc.v3.ExternalProcessor.Process egress"


def shape(given):
    return [(row.depth, row.span.name, row.orphan) for row in rows(given)]


def test_children_come_by_start_below_their_parent():
    assert shape(spans.fast_path()) == [
        (0, "ingress", False),
        (1, "router app egress", False),
        (2, "GET /reports", False),
    ]
    names = [name for depth, name, _ in shape(reversed(spans.callback())) if depth == 3]
    assert names == [
        "decide",
        "store use_once",
        "POST token",
        "GET userinfo",
        "GET jwks",
        "establish",
        "store put",
    ]


def test_what_has_no_parent_here_hangs_under_the_root():
    given = (
        spans.span(1, 0, "a", "root", 5, 9),
        spans.span(2, 99, "a", "orphan", 6, 7),
        spans.span(3, 2, "a", "its child, by another clock", 1, 2),
    )
    assert shape(given) == [
        (0, "root", False),
        (1, "orphan", True),
        (2, "its child, by another clock", False),
    ]


def test_a_root_with_a_parent_elsewhere_is_the_root():
    assert shape(
        (spans.span(1, 77, "a", "ingress", 0, 9), spans.span(2, 1, "a", "below", 1, 2))
    ) == [
        (0, "ingress", False),
        (1, "below", False),
    ]


def test_spans_that_are_each_others_parents_are_shown_once():
    circle = (spans.span(1, 2, "a", "x", 0, 9), spans.span(2, 1, "a", "y", 1, 2))
    assert sorted(name for _, name, _ in shape((*circle, spans.span(3, 0, "a", "root", 4, 5)))) == [
        "root",
        "x",
        "y",
    ]
    assert sorted(name for _, name, _ in shape(circle)) == ["x", "y"]
    assert shape((spans.span(1, 1, "a", "itself", 0, 9),)) == [(0, "itself", False)]


def test_a_long_chain_is_no_recursion():
    chain = [
        spans.span(number, number - 1, "a", "x", number, number + 1) for number in range(1, 3001)
    ]
    assert rows(chain)[-1].depth == 2999


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0"),
        (999, "999 ns"),
        (1_500, "1.5 µs"),
        (43_100_000, "43.1 ms"),
        (999_900_000, "1000 ms"),
        (2_340_000_000, "2.34 s"),
    ],
)
def test_durations_have_three_digits(nanoseconds, text):
    assert duration(nanoseconds) == text


def test_the_tree_as_text():
    lines = render(spans.callback()).splitlines()
    assert lines[0].startswith("gateway: ingress [303]")
    assert lines[1].startswith("└─ gateway: ExternalProcessor.Process ")
    assert lines[5].startswith("      ├─ extproc: POST token [200] ")
    assert lines[11].startswith("      ├─ extproc: GET jwks [timeout] ")
    assert len({line.rindex("s  ") for line in lines}) == 1
    assert render(()) == "no spans"


def test_a_stream_that_envoy_resets_after_its_answer_is_no_error():
    for status, shown in (("canceled", False), ("unavailable", True)):
        span = spans.span(
            1, 0, "envoy", ENVOYS, 0, 1, status="error", attributes=(("status", status),)
        )
        assert ("[error]" in render((span,))) is shown


@pytest.mark.parametrize(
    ("name", "short"),
    [
        (ENVOYS, "ExternalProcessor.Process"),
        (
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
            "/envoy.service.ext_proc.v3.ExternalProcessor/Process",
        ),
        ("envoy.service.ext_proc.v3.ExternalProcessor/Process", "ExternalProcessor/Process"),
        ("router app egress", "router app"),
        ("decide", "decide"),
    ],
)
def test_the_name_of_a_span_is_shown_without_what_envoy_adds(name, short):
    assert short_name(spans.span(1, 0, "a", name, 0, 1)) == short


def test_the_outcome_of_a_span_is_its_status_and_reason_or_error():
    def result(status, *attributes):
        return outcome(spans.span(1, 0, "a", "x", 0, 1, status=status, attributes=attributes))

    assert result("unset") == ""
    assert result("error") == "error"
    assert result("error", ("error.type", "timeout")) == "timeout"
    assert result("unset", ("http.status_code", "403"), ("reason", "forbidden")) == "403 forbidden"
