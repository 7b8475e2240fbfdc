"""What each part of an expression costs."""

from typing import Any

import pytest

from extproc.core.expression import MAX_STEPS
from extproc.settings.expression import compile_expression


@pytest.mark.parametrize(
    ("text", "claims", "steps"),
    [
        ("claims.a", {"a": True}, 2),
        ("claims['a']", {"a": True}, 3),
        ("has(claims.a)", {"a": None}, 2),
        ("!claims.a", {"a": False}, 3),
        ("claims.a == 1", {"a": 1}, 5),
        ("claims.a != 'x'", {"a": "y"}, 6),
        ("claims.a < 'x'", {"a": "a" * 99}, 4),
        ("claims.a <= claims.b", {"a": "a" * 640, "b": "a" * 640}, 15),
        ("claims.a || claims.b", {"a": True}, 3),
        ("claims.a && claims.b", {"a": True, "b": True}, 5),
        ("claims.a ? claims.b : claims.c", {"a": True, "b": True}, 5),
        ("'c' in claims.a", {"a": ["a", "b", "c", "d"]}, 7),
        ("'c' in claims.a", {"a": {"a": 1, "c": 2}}, 4),
        ("claims.a in [1, 2]", {"a": 2}, 8),
        ("size(claims.a) == 2", {"a": "ab"}, 6),
        ("claims.a.startsWith(claims.b)", {"a": "x" * 640, "b": "x" * 640}, 15),
        ("claims.a.endsWith('x')", {"a": "x" * 640}, 4),
        ("claims.a.contains('x')", {"a": "x" * 1280}, 14),
        ("claims.a.all(x, x)", {"a": [True] * 9}, 21),
        ("claims.a.exists(x, x)", {"a": [True] * 9}, 5),
    ],
)
def test_each_part_is_a_step_and_long_text_more(
    text: str, claims: dict[str, Any], steps: int
) -> None:
    assert compile_expression(text).evaluate(claims, MAX_STEPS) == (True, MAX_STEPS - steps)
    assert compile_expression(text).evaluate(claims, steps) == (True, 0)
    assert compile_expression(text).evaluate(claims, steps - 1) == (False, 0)
