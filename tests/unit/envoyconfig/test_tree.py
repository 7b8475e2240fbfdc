"""One spelling for configurations that mean the same, and where two of them differ."""

from typing import Any

import pytest

from extproc.envoyconfig.tree import Difference, at, branch, differences, items, kind, plain, within


@pytest.mark.parametrize(
    ("written", "spelling"),
    [
        ({"failureModeAllow": True}, {"failure_mode_allow": "true"}),
        ({"a": False, "b": 0, "c": "", "d": None, "e": [], "f": "0"}, {}),
        ({"timeout": "10.000s", "none": "0s"}, {"timeout": "10s"}),
        ({"timeout": "31536000s", "other": "1234567.250s"}, {"timeout": "31536000s", "other": "1234567.25s"}),
        ({"a": 1234567.5, "b": 1000000.0, "c": 1e22}, {"a": "1234567.5", "b": "1000000", "c": "1" + "0" * 22}),
        ({"port": 80, "share": 0.5}, {"port": "80", "share": "0.5"}),
        ({"providers": {"myApp": {"issuerName": "x"}}}, {"providers": {"myApp": {"issuer_name": "x"}}}),
        ({"@type": "a.B"}, {"@type": "a.B"}),
    ],
)  # fmt: skip
def test_configurations_that_mean_the_same_have_one_spelling(
    written: dict[str, Any], spelling: dict[str, Any]
) -> None:
    assert plain(written) == spelling
    assert plain(spelling) == spelling


@pytest.mark.parametrize(
    ("one", "other"),
    [("31536000s", "31536001s"), ("1000000.1s", "1000000s"), (1234567.5, 1234567.25)],
)
def test_numbers_that_differ_in_their_last_digit_stay_apart(one: object, other: object) -> None:
    assert plain({"a": one}) != plain({"a": other})


def test_a_path_that_leads_nowhere_is_empty_and_no_error() -> None:
    tree = {"a": {"b": [1, {"c": "d"}], "e": "text"}}
    assert at(tree, "a", "e") == "text" and at(tree, "a", "e", "f") is None
    assert branch(tree, "a", "x") == {} == branch(tree, "a", "b")
    assert items(tree, "a", "b") == [{"c": "d"}] and items(tree, "a", "e") == []


def test_messages_are_found_by_type_however_deep_they_are_wrapped() -> None:
    lua = {"@type": "type.googleapis.com/x.Lua", "code": "x"}
    assert list(within({"a": [{"b": {"c": lua}}, {"c": {"@type": "x.LuaPerRoute"}}]}, "Lua")) == [
        lua
    ]
    assert kind(lua) == "Lua" and kind({}) == "" == kind(None)


def test_list_entries_with_names_are_compared_by_name() -> None:
    wanted = {"routes": [{"name": "a", "to": "1"}, {"name": "b"}]}
    found = {"routes": [{"name": "b"}, {"name": "a", "to": "2"}]}
    assert list(differences(wanted, found)) == [Difference(("routes", "a", "to"), "1", "2")]


def test_list_entries_without_distinct_names_are_compared_by_position() -> None:
    wanted, found = [{"name": "a"}, {"name": "a", "x": "1"}], [{"name": "a"}, {"name": "a"}]
    assert list(differences(wanted, found)) == [Difference(("[1]", "x"), "1", "")]


def test_values_that_may_be_secret_are_hidden_and_long_ones_are_cut() -> None:
    hidden, long = differences(
        {"value": "mine", "text": "m"}, {"value": "canary", "text": "x" * 100}
    )
    assert (hidden.found, len(long.found)) == ("another text", 60)


def test_whole_messages_are_described_by_their_type_or_size() -> None:
    found = differences({}, {"a": {"@type": "x.Lua"}, "b": ["1", "2"], "c": {"d": "1"}})
    assert [each.found for each in found] == ["a Lua", "2 entries", "1 fields"]
