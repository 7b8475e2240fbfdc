"""The processor's filter fails closed."""

import pytest
from harness.envoy_config import simple, typed


@pytest.mark.attack("EXTP-16")
@pytest.mark.threat("undecided")
def test_nothing_opens_the_processor() -> None:
    (processor,) = typed(simple(), "ExternalProcessor")
    wrong = {
        "failure_mode_allow",
        "allow_mode_override",
        "observability_mode",
        "disable_immediate_response",
    }
    assert not wrong & set(processor)
    assert processor["processing_mode"] == {
        "request_header_mode": "SEND",
        "response_header_mode": "SKIP",
    }
    assert processor["grpc_service"]["retry_policy"]["retry_on"] == "connect-failure,refused-stream"
    assert float(processor["max_message_timeout"][:-1]) > simple().timeouts.callback
