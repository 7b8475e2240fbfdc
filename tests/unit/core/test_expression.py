"""Expressions hold only where they are true, and cost a bounded number of steps."""

from typing import Any

import pytest

from extproc.core.expression import MAX_STEPS, Expression, holding
from extproc.settings.expression import compile_expression

DEEP: Any = []
for _ in range(100_000):
    DEEP = [DEEP]
MANY = list(range(MAX_STEPS))
KEYS = {str(number): number for number in MANY}


def evaluated(text: str, claims: dict[str, Any], steps: int = MAX_STEPS) -> tuple[bool, int]:
    return compile_expression(text).evaluate(claims, steps)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("'admins' in claims.groups", {"groups": ["x", "admins"]}),
        ("'admins' in claims.groups", {"groups": {"admins": {}}}),
        ("!('x' in claims.groups)", {"groups": []}),
        ("claims.level >= 3 && claims['level'] == 3.5", {"level": 3.5}),
        ("claims.a == null", {"a": None}),
        ("claims.a.b == 'x' && claims.a['b'] == 'x'", {"a": {"b": "x"}}),
        ("claims.a[1] == 2 && size(claims.a) == 2", {"a": [1, 2]}),
        ("claims.a == 'é\\u0000'", {"a": "é\0"}),
        ("claims.a == claims.b", {"a": [1, {"x": True}], "b": [1.0, {"x": True}]}),
        ("claims.a > claims.b", {"a": 10**5000, "b": 1e308}),
        ("claims.groups.exists(g, g.startsWith('t'))", {"groups": [1, "team"]}),
        ("claims.a.all(x, claims.b.exists(y, x == y && y != claims.c))", {"a": [1, 2], "b": [2, 1], "c": 3}),
        ("claims.a.exists(x, x.exists(x, x == 2) && size(x) == 1)", {"a": [[1], [2]]}),
        ("claims.absent == 1 || claims.a", {"a": True}),
        ("has(claims.absent) || claims.a", {"a": True}),
        ("!has(claims.absent)", {}),
        ("claims.a ? claims.b : claims.absent", {"a": True, "b": True}),
        ("claims.a.contains('b') && claims.a.endsWith('bc')", {"a": "abc"}),
    ],
)  # fmt: skip
def test_an_expression_is_true(text: str, claims: dict[str, Any]) -> None:
    holds, left = evaluated(text, claims)
    assert holds and 0 < left < MAX_STEPS


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("claims.absent == 1", {}),
        ("claims.absent != 1", {}),
        ("!('x' in claims.absent)", {}),
        ("claims.a.b != 1", {"a": {}}),
        ("!has(claims.a.b)", {"a": []}),
        ("claims.a != claims.absent || false", {"a": 1}),
        ("!claims.a", {"a": 0}),
        ("claims.a > 1", {"a": "2"}),
        ("claims.a > 1", {"a": True}),
        ("!(claims.a == true)", {"a": True}),
        ("claims.a == 1", {"a": True}),
        ("claims.a == 'admins'", {"a": "admins\0x"}),
        ("'admins' in claims.a", {"a": ["admins\0x"]}),
        ("claims.a", {"a": "true"}),
        ("claims.a", {"a": 1}),
        ("claims.a", {"a": None}),
        ("claims.a ? true : true", {"a": 1}),
        ("claims.a[0] != 1", {"a": []}),
        ("claims.a[-1] != 1", {"a": [1]}),
        ("claims.a[true] == 2", {"a": [1, 2]}),
        ("1 in claims.a", {"a": {"1": 1}}),
        ("!(1 in claims.a)", {"a": "text"}),
        ("!(claims.b in claims.a)", {"a": {"x": 1}, "b": None}),
        ("size(claims.a) != 1", {"a": 5}),
        ("claims.a.startsWith('x') || true == false", {"a": 5}),
        ("claims.a.all(x, x != 'x')", {"a": "text"}),
        ("claims.a.all(x, x > 1)", {"a": [2, "x"]}),
        ("claims.a.exists(x, x > 1)", {"a": ["x"]}),
        ("claims.a == claims.a", {"a": DEEP}),
    ],
)  # fmt: skip
def test_what_is_false_or_has_no_value_does_not_hold(text: str, claims: dict[str, Any]) -> None:
    assert evaluated(text, claims)[0] is False


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("claims.a.all(x, x >= 0) || true", {"a": MANY}),
        ("claims.a.all(x, claims.a.all(y, claims.a.all(z, z >= 0))) || true", {"a": MANY[:100]}),
        ("!('x' in claims.a)", {"a": MANY}),
        ("claims.a == claims.b || true", {"a": MANY, "b": list(MANY)}),
        ("claims.a != claims.b || true", {"a": KEYS, "b": dict(KEYS)}),
        ("claims.a.all(x, x == claims.b) || true", {"a": ["x" * 99_999] * 99, "b": "x" * 99_999}),
        ("claims.a.all(x, x <= claims.b) || true", {"a": ["x" * 99_999] * 99, "b": "x" * 99_999}),
        ("claims.a.all(x, x.startsWith(claims.b)) || true", {"a": ["x" * 99_999] * 99, "b": "x" * 99_999}),
        ("claims.a.contains(claims.b) || true", {"a": "x" * 99_999, "b": "x" * 99}),
    ],
)  # fmt: skip
def test_where_the_steps_do_not_suffice_nothing_holds(text: str, claims: dict[str, Any]) -> None:
    assert evaluated(text, claims) == (False, 0)


def test_the_steps_are_those_of_all_expressions_together() -> None:
    short, long = (compile_expression(f"claims.{name}.all(x, x >= 0)") for name in ("b", "a"))
    last = compile_expression("claims.b[0] == 1")
    claims = {"a": MANY, "b": [1]}
    assert holding((short, last), claims) == {short.text, last.text}
    assert holding((short, long, last), claims) == {short.text}
    assert holding((), claims) == frozenset()


def test_expressions_are_compared_by_their_text() -> None:
    one, other = compile_expression("claims.a"), compile_expression("claims.b")
    again = Expression("claims.a", frozenset(), other.root)
    assert again != one and Expression(one.text, one.claims, other.root) == one
    assert repr(one) == "Expression(text='claims.a', claims=frozenset({'a'}))"
