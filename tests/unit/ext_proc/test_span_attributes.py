"""What a stream's span holds of its request and answer."""

import pytest
from harness.tokens import request
from opentelemetry.sdk.trace import TracerProvider

from extproc.core.decisions import Continue, Respond
from extproc.ext_proc.span_attributes import PROCESS, record

TRACER = TracerProvider(shutdown_on_exit=False).get_tracer("test")


def recorded(answer, asked):
    span = TRACER.start_span(PROCESS)
    record(answer, asked, span, 0)
    span.end()
    return dict(span.attributes)


def test_a_request_that_goes_on_has_no_status():
    attributes = recorded(Continue("session"), request("/a?secret=1"))
    assert attributes == {
        "http.request.method": "GET",
        "url.path": "/a",
        "server.address": "app.example",
        "extproc.application": "app",
        "extproc.reason": "session",
    }


@pytest.mark.parametrize(("status", "is_error"), [(303, False), (401, False), (503, True)])
def test_an_answer_has_its_status_and_a_fault_of_the_server_is_an_error(status, is_error):
    attributes = recorded(Respond(status, "the_reason"), request())
    assert attributes["http.response.status_code"] == status
    assert attributes.get("error.type") == ("the_reason" if is_error else None)


def test_the_detail_of_the_log_is_on_the_span_and_bounded():
    assert recorded(Respond(502, "client_refused", detail="d" * 900), request())[
        "extproc.detail"
    ] == ("d" * 500)
    assert "extproc.detail" not in recorded(Respond(502, "client_refused"), request())


def test_what_a_client_chooses_is_bounded():
    odd = request("/" + "x" * 9_000, method="BREW", authority="user:pass@" + "h" * 9_000)
    attributes = recorded(Continue("public"), odd)
    assert attributes["http.request.method"] == "_OTHER"
    assert len(attributes["url.path"]) == 500
    assert attributes["server.address"] == "h" * 255
