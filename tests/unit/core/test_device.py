"""What a user recognises a session by."""

import pytest
from harness.tokens import request

from extproc.core.device import Device


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Something (Windows)", "A browser on Windows"),
        ("curl/8.9.1", "curl"),
        ("<script>alert(1)</script>", ""),
        ("x" * 5000, "x" * 40),
        ("", ""),
    ],
)  # fmt: skip
def test_a_user_agent_is_said_in_words_of_ours(agent, said):
    assert Device.of(request(user_agent=agent), 0).agent == said


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "address"),
    [
        ("192.0.2.7", 0, "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7", 0, "192.0.2.7"),  # what the client wrote is not believed
        ("6.6.6.6,192.0.2.7, 10.0.0.1", 1, "192.0.2.7"),
        ("192.0.2.7", 3, "192.0.2.7"),
        ("2001:DB8::0:1", 0, "2001:db8::1"),
        ("unknown", 0, ""),
        ("1.2.3.4<script>", 0, ""),
        ("", 0, ""),
    ],
)
def test_an_address_is_the_one_that_envoy_found(forwarded_for, hops, address):
    assert Device.of(request(x_forwarded_for=forwarded_for), hops).address == address
