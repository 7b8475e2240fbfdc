"""Each setting that is seldom meant has a warning with its key and what to do."""

from typing import Any

import pytest
from harness.envoy_config import APP, lint_lines, simple
from harness.envoy_parts import settings

TWO = {name: {"issuer": f"https://{name}.example", "client_id": "x"} for name in ("main", "other")}


WARNED = [
    ({}, []),
    ({"secret": "$EXTPROC_SECRET_OF_THE_GATEWAY_HERE"}, ["secret: begins with $ and a name"]),
    (
        {"store": {"kind": "sqlite", "path": "$HOME/sessions.sqlite3"}},
        ["store.path: begins with $ and a name"],
    ),
    (
        {"listen": "0.0.0.0:9500", "allow_plaintext": ["listen"]},
        ["listen: 0.0.0.0:9500 is not on loopback"],
    ),
    (
        {"admin": "0.0.0.0:9490", "allow_plaintext": ["admin"]},
        ["admin: 0.0.0.0:9490 is not on loopback"],
    ),
    (
        {"gateway": {"admin": "0.0.0.0:9901"}, "allow_plaintext": ["gateway.admin"]},
        ["gateway.admin: 0.0.0.0:9901 is not on loopback"],
    ),
    (
        {"gateway": {"processors": ["127.0.0.1:9500"]}},
        ["gateway.keys: is not set, and gateway.processors is"],
    ),
    ({"gateway": {"processors": ["127.0.0.1:9500"], "keys": ["127.0.0.1:9490"]}}, []),
    ({"gateway": {"processors": ["127.0.0.1:9500"]}, "identity": {"assertion_lifetime": 0}}, []),
    (
        {"gateway": {"keys": ["10.0.0.1:9490"]}, "allow_plaintext": ["gateway.keys"]},
        ["gateway.keys: 10.0.0.1:9490 is not on loopback"],
    ),
    (
        {"providers": {"main": {"issuer": "https://www.linkedin.com/oauth", "client_id": "x"}}},
        ["providers.main.issuer: LinkedIn returns no nonce"],
    ),
    ({"secret": [letter * 40 for letter in "abcd"]}, ["secret: the ring has 4 keys"]),
    ({"listen": "unix:extproc.sock"}, ["listen: unix:extproc.sock is a relative path"]),
    (
        {"gateway": {"url": "https://localhost"}},
        [
            "gateway.url: begins with https://, but neither tls nor trusted_hops is set; "
            "applications get X-Forwarded-Proto: http, and all clients share the limit "
            "of one address"
        ],
    ),
    ({"gateway": {"url": "https://localhost", "trusted_hops": 1}}, []),
    ({"gateway": {"hsts": 60}}, ["gateway.hsts: is not sent"]),
    (
        {"providers": {"main": {"issuer": "http://localhost:8080/realms/demo", "client_id": "x"}}},
        [
            "providers.main.issuer: http://localhost:8080/realms/demo is served by this "
            "gateway's application app"
        ],
    ),
    (
        {"providers": {"main": {"issuer": "http://localhost:8180/realms/demo", "client_id": "x"}}},
        [],
    ),
    (
        {"limits": {"streams": 8_700}},
        [
            "limits.streams: 8700 leaves nothing for other requests: callback, login, lookup, "
            "refresh, logout and provider_logout may hold 8700 together"
        ],
    ),
    ({"limits": {"streams": 8_701}}, []),
    (
        {"limits": {"per_provider": 2_001}},
        ["limits.per_provider: 2001 is never reached, because limits.callback, 2000,"],
    ),
    ({"limits": {"per_provider": 2_000}}, []),
    (
        {"limits": {"per_provider": 2_000}, "providers": TWO},
        ["limits.per_provider: is all of limits.callback, 2000,"],
    ),
    (
        {"limits": {"connects": 1_001}},
        ["limits.connects: 1001 is never reached, because limits.per_provider is 1000"],
    ),
    (
        {"timeouts": {"drain": 14}},
        ["timeouts.drain: 14 s is less than the 15 s that a held request may take"],
    ),
    ({"timeouts": {"drain": 15}}, []),
    ({"timeouts": {"call": 9}}, []),
    (
        {"timeouts": {"call": 11}},
        ["timeouts.drain: 20 s is less than the 22 s that a held request may take"],
    ),
    (
        {"timeouts": {"call": 16, "drain": 60}},
        ["timeouts.call: 16 s is more than a whole callback may take"],
    ),
    (
        {"timeouts": {"connect": 5}},
        ["timeouts.connect: 5 s leaves nothing of timeouts.call, 5 s, for an answer"],
    ),
]


@pytest.mark.parametrize(("changes", "begin"), WARNED)
def test_warnings_name_the_key(changes: dict[str, Any], begin: list[str]) -> None:
    found = lint_lines(simple(**changes))
    assert len(found) == len(begin), found
    assert all(line.startswith(start) for line, start in zip(found, begin, strict=True)), found
    # What to do follows the semicolon.
    assert all("; " in line for line in found)


def test_a_provider_behind_the_gateway_that_is_excluded_is_fine() -> None:
    idp = {"hosts": ["127.0.0.1"], "exclude": True, "upstream": "http://127.0.0.1:8180"}
    provider = {"main": {"issuer": "http://127.0.0.1:8080/realms/demo", "client_id": "x"}}
    assert lint_lines(settings(applications={"app": APP, "idp": idp}, providers=provider)) == []
