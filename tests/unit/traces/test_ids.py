"""Trace ids in text that a person pastes."""

import pytest
from harness.spans import TRACE

from extproc.traces.ids import trace_id_in


@pytest.mark.parametrize(
    "text",
    [
        TRACE,
        TRACE.upper(),
        f"  Trace: {TRACE}.",
        " ".join(TRACE[at : at + 8] for at in range(0, 32, 8)),
        "-".join(TRACE[at : at + 4] for at in range(0, 32, 4)),
        f"00-{TRACE}-b7ad6b7169203331-01",
        f"trace_id={TRACE} reason=signed_in",
    ],
)
def test_a_trace_id_is_found_however_it_is_pasted(text):
    assert trace_id_in(text) == TRACE


@pytest.mark.parametrize("text", ["", "no id", TRACE[1:], TRACE + "0", " " * 400 + TRACE])
def test_text_without_a_trace_id_has_none(text):
    assert trace_id_in(text) is None
