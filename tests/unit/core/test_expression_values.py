"""How the values of claims are compared, and what that costs."""

from types import MappingProxyType

import pytest

from extproc.core.expression_values import MAX_DEPTH, Exhausted, Run, equal, is_number


def run(steps: int = 1000) -> Run:
    return Run({}, steps)


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (2**70, float(2**70)),
        ("é\0", "é\0"),
        (True, True),
        (None, None),
        ([1, ["x"]], (1.0, ["x"])),
        ({"a": 1, "b": []}, MappingProxyType({"b": [], "a": 1})),
        (nested(MAX_DEPTH), nested(MAX_DEPTH)),
    ],
)
def test_equal_values(one: object, other: object) -> None:
    assert equal(one, other, run()) and equal(other, one, run())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (0, None),
        (False, None),
        ("1", 1),
        ("e\u0301", "\u00e9"),
        ("a", "a\0"),
        ([1], [1, 2]),
        ([1], 1),
        ([], {}),
        ([True], [1]),
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 1}),
        (2**53 + 1, float(2**53)),
    ],
)
def test_different_values(one: object, other: object) -> None:
    assert not equal(one, other, run()) and not equal(other, one, run())


@pytest.mark.parametrize(
    ("one", "steps"),
    [(1, 1), ("x" * 640, 11), ([1, 2, [3]], 5), ({"a": 1, "b": "x" * 64}, 6), ([[], []], 3)],
)
def test_each_value_and_each_64_characters_are_a_step(one: object, steps: int) -> None:
    spent = run(steps)
    assert equal(one, one, spent) and spent.steps == 0
    with pytest.raises(Exhausted):
        equal(one, one, run(steps - 1))


def test_what_is_nested_too_deeply_is_not_compared() -> None:
    with pytest.raises(Exhausted):
        equal(nested(MAX_DEPTH + 1), nested(MAX_DEPTH + 1), run())


@pytest.mark.parametrize(("value", "number"), [(1, True), (1.5, True), (True, False), ("1", False)])
def test_true_and_false_are_no_numbers(value: object, number: bool) -> None:
    assert is_number(value) is number
