"""What a supervisor and its workers say to each other comes through as it was said."""

import json

import pytest

from extproc.addresses import Address
from extproc.runtime.control import (
    Drain,
    Failed,
    GetMetrics,
    GetStatus,
    KeysUpdated,
    Listen,
    MetricsText,
    Ready,
    Serving,
    Spans,
    Start,
    Status,
    UpdateKeys,
    decode,
    encode,
)
from extproc.settings import Settings, with_secrets

SETTINGS = with_secrets(
    Settings.model_validate_json(
        json.dumps(
            {
                "secret": ["x" * 32, "y" * 32],
                "providers": {
                    "main": {
                        "issuer": "https://idp.example",
                        "client_id": "gateway",
                        "client_secret": "ü\n",
                    }
                },
                "applications": {
                    "app": {
                        "hosts": ["localhost"],
                        "upstream": "http://127.0.0.1:1",
                        "provider": "main",
                    }
                },
            }
        )
    )
)


@pytest.mark.parametrize(
    "message",
    [
        Start(2, Address(path="/run/x.2.sock"), SETTINGS),
        Start(1, Address(host="::1", port=9500), SETTINGS),
        Listen(),
        Listen(predecessor=True),
        UpdateKeys(SETTINGS),
        KeysUpdated(),
        Drain(),
        GetStatus(),
        GetMetrics(),
        MetricsText('# TYPE x counter\nx_total{y="\\n"} 1\n# EOF\n'),
        Ready(),
        Serving(),
        Failed("store.path: no\nsuch file"),
        Status((("provider main", "away"),), (("streams", 3), ("work", 0)), 1),
        Spans(bytes(range(256))),
    ],
    ids=lambda message: type(message).__name__,
)
def test_a_message_is_one_line_and_comes_out_as_it_went_in(message):
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and decode(line) == message


def test_a_start_that_is_printed_shows_no_secret():
    assert "xxx" not in repr(Start(1, Address(port=1), SETTINGS)) and "ü" not in repr(SETTINGS)
