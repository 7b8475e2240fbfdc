"""The file of `extproc test`: what it may have, and how each fault is named."""

from ipaddress import ip_address
from typing import Any

import pytest
import yaml
from harness.envoy_config import APP, simple

from extproc.explain.cases import CasesError, parse
from extproc.explain.client_certificate import Certificate
from extproc.explain.outcome import User
from extproc.explain.peer import Peer

MADE = simple(
    applications={"app": {**APP, "url": "https://localhost:8443/app/", "path_prefix": "/app/"}}
)
ONE: dict[str, Any] = {"url": "/", "expect": "allow"}


def faults(document: object) -> list[str]:
    text = document if isinstance(document, str) else yaml.safe_dump(document)
    with pytest.raises(CasesError) as raised:
        parse(text.encode(), "t.yaml", MADE)
    return str(raised.value).splitlines()


def test_a_file_has_users_and_tests() -> None:
    text = b"""
users:
  alice: {sub: alice, groups: [staff], nested: {a: [1, true]}}
tests:
  - {url: /x, user: alice, expect: allow, rule: admin, auth_age: 20m, claims_age: 1h}
  - name: by hand
    application: app
    path: /app/x?y=1
    method: get
    headers: {Sec-Fetch-Mode: cors}
    user: {sub: eve}
    auth_age: null
    address: 10.0.0.1
    certificate: {subject: "CN=a,O=b", sans: [a.example]}
    expect: 403
    shadow: ""
    identity: false
  - {url: "https://localhost:8443/", expect: login}
"""
    cases = parse(text, "t.yaml", MADE)
    first, second, third = cases.tests
    alice = {"sub": "alice", "groups": ["staff"], "nested": {"a": [1, True]}}
    assert cases.user(first) == User(alice, 1200, 3600) and first.rule == "admin"
    assert cases.user(second) == User({"sub": "eve"}, None, 0) and cases.user(third) is None
    sample = second.sample(MADE)
    assert (sample.method, sample.url) == ("get", "https://localhost:8443/app/x?y=1")
    assert sample.headers == (("sec-fetch-mode", "cors"),)
    shown = Certificate("CN=a,O=b", ("a.example",))
    assert second.peer == Peer(ip_address("10.0.0.1"), shown) and first.peer == Peer()
    assert (second.expect, second.shadow, second.identity) == (403, "", False)
    assert (third.method, third.rule, third.identity) == ("GET", None, None)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"certificate": {"subject": "alice"}}, "tests[0].certificate: subject is written as in"),
        ({"certificate": {"sans": ["*.a"]}}, "tests[0].certificate: sans: '*.a' is no alternative"),
        ({"certificate": {"san": []}}, "tests[0].certificate.san: there is no such key"),
        ({"expect": "denied"}, "tests[0].expect: is allow, login, step_up, or the status"),
        ({"expect": 99}, "tests[0].expect: is allow, login, step_up, or the status"),
        ({"expect": True}, "tests[0].expect: is allow, login, step_up, or the status"),
        ({"expect": "403"}, "tests[0].expect: is allow, login, step_up, or the status"),
        ({"rules": "admin"}, "tests[0].rules: there is no such key"),
        ({"user": "mallory"}, "tests[0].user: there is no user 'mallory'; there are: alice"),
        ({"user": {"groups": []}}, "tests[0].user: needs the claim sub, as text"),
        ({"user": {"sub": 7}}, "tests[0].user: needs the claim sub, as text"),
        ({"user": {"sub": "x" * 256}}, "tests[0].user: needs the claim sub, as text"),
        ({"user": [1]}, "tests[0].user: is a mapping of claims"),
        (
            {"user": {"sub": "x", "auth_time": 1}},
            "tests[0].user: has auth_time; say how long ago that was in auth_age of the test",
        ),
        ({"user": {"sub": "x", "iat": 1}}, "tests[0].user: has iat; say how long ago"),
        ({"auth_age": "soon"}, "tests[0].auth_age: a duration is a number of seconds"),
        ({"claims_age": -1}, "tests[0].claims_age: input should be greater than or equal to 0"),
        ({"address": "10.0.0.0/8"}, "tests[0].address: is an address such as 10.0.0.1"),
        ({"method": "GET /"}, "tests[0].method: is the method of a request"),
        ({"headers": {"accept": 1}}, "tests[0].headers.accept: input should be a valid string"),
        ({"identity": "yes"}, "tests[0].identity: input should be a valid boolean"),
        ({"url": "ftp://x/"}, "tests[0]: url is an address such as https://"),
        ({"url": "http://[/"}, "tests[0]: url: its host or its port is not valid"),
        ({"url": "http://x:99999/"}, "tests[0]: url: its host or its port is not valid"),
        ({"path": "/x"}, "tests[0]: path goes with application"),
        ({"application": "app"}, "tests[0]: needs url, or application with path"),
        ({"url": None}, "tests[0]: needs url, or application with path"),
        (
            {"url": None, "application": "gone"},
            "tests[0].application: there is no application 'gone'; there are: app",
        ),
        ({"url": None, "application": "app", "path": "x"}, "tests[0]: path begins with /"),
    ],
)
def test_each_fault_is_named_with_its_key(change: dict[str, Any], fault: str) -> None:
    (line,) = faults({"users": {"alice": {"sub": "alice"}}, "tests": [{**ONE, **change}]})
    assert line.startswith(f"t.yaml: {fault}"), line


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("tests: [", "t.yaml:1: is not YAML: "),
        ("a: 2020-13-45", "t.yaml: is not YAML: a value cannot be parsed"),
        ("[1]", "t.yaml: is a mapping of tests, a list, and users"),
        ("", "t.yaml: is a mapping of tests, a list, and users"),
        ("users: {}", "t.yaml: tests: is missing"),
        ({"tests": []}, "t.yaml: tests has no test"),
        ({"tests": [ONE], "users": {"a": 1}}, "t.yaml: users.a: is a mapping of claims"),
        ("tests: &a [*a]", "t.yaml: is no mapping of texts, lists and mappings"),
        ("? [a]\n: b\n", "t.yaml:1: is not YAML"),
        (
            "tests: [{url: /, expect: allow, user: {sub: a, ? !!binary eA== : 1}}]",
            "t.yaml: is no mapping",
        ),
    ],
)
def test_a_file_that_is_no_table_is_one_line(document: object, fault: str) -> None:
    (line,) = faults(document)
    assert line.startswith(fault), line


def test_bytes_that_are_no_text_are_named() -> None:
    with pytest.raises(CasesError, match="is not UTF-8 text"):
        parse(b"\xff", "t.yaml", MADE)


def test_every_fault_has_a_line() -> None:
    bad = {**ONE, "expect": "never"}
    assert [line.split(": ")[1] for line in faults({"tests": [bad, ONE, bad]})] == [
        "tests[0].expect",
        "tests[2].expect",
    ]
