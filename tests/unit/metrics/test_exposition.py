"""The page that Prometheus scrapes: text or OpenMetrics, of one process or of several."""

import pytest
from harness.metrics import KEPT, NOBODY, SPAN, TRACE
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from extproc.metrics import Metrics, ProcessMetrics
from extproc.metrics.exposition import from_text, merged, page, to_text

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"


def test_a_scraper_that_asks_for_openmetrics_gets_it_with_exemplars_of_kept_traces_and_others_get_text() -> (
    None
):
    metrics = Metrics(["app"], ["signed_in"])
    metrics.answered("callback", "app", "signed_in", 0.3, KEPT)
    metrics.answered("none", "app", "signed_in", 0.3, NOBODY)
    families = merged([("1", metrics.families())])
    asked, plain = page(families, OPENMETRICS), page(families, "*/*")
    assert asked.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    found = text_string_to_metric_families(asked.body.decode())
    exemplars = [
        (sample.labels["step"], sample.labels["le"], sample.exemplar)
        for family in found
        for sample in family.samples
        if sample.exemplar is not None
    ]
    assert [(lane, le) for lane, le, _ in exemplars] == [("callback", "0.5")]
    assert exemplars[0][2].labels == {"trace_id": f"{TRACE:032x}", "span_id": f"{SPAN:016x}"}
    assert b"# EOF" not in plain.body and b"trace_id" not in plain.body


def test_what_workers_say_becomes_one_page_and_each_sample_says_whose_it_is() -> None:
    said = []
    for worker in ("1", "2"):
        metrics = Metrics(["app"], ["signed_in"])
        for _ in range(int(worker)):
            metrics.answered("callback", "app", "signed_in", 0.3, KEPT)
        said.append((worker, from_text(to_text(metrics.families()))))
    body = page(
        merged([("supervisor", ProcessMetrics().families()), *said]), OPENMETRICS
    ).body.decode()
    found = {
        sample.labels["worker"]: sample
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if sample.name == "extproc_requests_total"
    }
    assert {worker: sample.value for worker, sample in found.items()} == {"1": 1, "2": 2}
    assert body.count("# TYPE extproc_requests counter") == 1 and "_created" not in body
    assert body.count('trace_id="4bf92f') == 2, "exemplars come through"


@pytest.mark.parametrize("text", ["", "extproc_requests_total 1", "# EOF\nx 1\n"])
def test_what_is_no_exposition_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="EOF"):
        from_text(text)
