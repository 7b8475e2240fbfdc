"""Settings of `allow`."""

import pytest
from harness.section import faults, made

from extproc.settings.allow import entries_of


def test_an_allow_is_one_entry_or_a_list_of_them() -> None:
    one = {"groups": ["staff"]}
    single, several = (made(allow=each).applications["app"].allow for each in (one, [one, one]))
    assert entries_of(single) == entries_of(several)[:1] and len(entries_of(several)) == 2
    assert made().applications["app"].allow is None and entries_of(None) == ()


@pytest.mark.parametrize(
    ("allow", "path", "what"),
    [
        ({}, "allow", "an entry without a condition"),
        ({"unverified_email": True}, "allow", "an entry without a condition"),
        ([{"groups": ["a"]}, {}], "allow[1]", "an entry without a condition"),
        ([], "allow", "at least 1 item"),
        ("staff", "allow", "input should be an object"),
        ({"groups": "staff"}, "allow.groups", "input should be a valid array"),
        ({"groups": []}, "allow.groups", "at least 1 item"),
        ([{"groups": [1]}], "allow[0].groups[0]", "input should be a valid string"),
        ({"group": ["a"]}, "allow.group", "there is no such key; did you mean groups?"),
        ({"claims": {}}, "allow", "an entry without a condition"),
        ({"claims": {"a": []}}, "allow.claims.a", "at least 1 item"),
        ({"emails": ["example.com"]}, "allow", "emails: 'example.com' is not an address"),
        ({"email_domains": ["@example.com"]}, "allow", "'@example.com' is not a domain"),
        ({"groups": ["a"], "unverified_email": True}, "allow", "goes with emails"),
        ({"acr_values": ["a b"]}, "allow", "'a b' is not an acr value"),
        ({"max_age": "30s"}, "allow.max_age", "greater than or equal to 60"),
        ({"max_age": 60.5}, "allow", "max_age is whole seconds"),
        ({"scopes": []}, "allow.scopes", "at least 1 item"),
        ({"scopes": ["a  b"]}, "allow", "scopes: 'a  b' is no scope such as orders:read"),
        ({"scopes": ['a"b']}, "allow", "is no scope such as orders:read"),
        (
            {"providers": ["x"]},
            "",
            "app.allow.providers: there is no provider 'x'; there are: main",
        ),
    ],
)
def test_a_mistake_in_an_allow_is_named(allow: object, path: str, what: str) -> None:
    (fault,) = faults(allow=allow)
    assert what in fault and fault.startswith(f"applications.app.{path}:" if path else "")
