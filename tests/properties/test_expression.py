"""For any expression and claims: what the core evaluates is what CEL's own implementation finds."""

from typing import Any

from cel_expr_python import cel
from hypothesis import example, given, reject
from hypothesis import strategies as st

from extproc.core.expression import MAX_STEPS
from extproc.settings.expression import Refused, compile_expression

NAMES = st.sampled_from(["a", "b", "c"])
WORDS = st.sampled_from(["", "a", "ab", "b", "é"])
# What cel-expr-python 0.1.3 reads as it is: it takes text to end at a NUL character, and a large
# integer for the next number of floating point.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
NUMBERS = (
    st.integers(-1, 3)
    | st.sampled_from([0.0, 1.0, 2.5])
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
CLAIMS = st.dictionaries(NAMES, VALUES, min_size=2, max_size=3)
CONSTANTS = st.sampled_from(["true", "false", "null", "1", "-1", "2.5", "'a'", "'ab'", "[]"])
ORDERS = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "=="])
TESTS = st.sampled_from(["startsWith", "endsWith", "contains"])
ENVIRONMENT = cel.NewEnv(variables={"claims": cel.Type.Map(cel.Type.STRING, cel.Type.DYN)})


@st.composite
def paths(draw: st.DrawFn, variables: tuple[str, ...]) -> str:
    """A claim, the variable of a macro, or a member of one."""
    root = draw(st.sampled_from(["claims.a", "claims.b", "claims['c']", *variables * 3]))
    return root + draw(st.sampled_from(["", "", "", "", "", ".a", "['b']", "[0]"]))


@st.composite
def operands(draw: st.DrawFn, variables: tuple[str, ...]) -> str:
    match draw(st.integers(0, 7)):
        case 0 | 1 | 2:
            return draw(paths(variables))
        case 3:
            return f"[{draw(CONSTANTS)}, {draw(paths(variables))}]"
        case 4:
            return f"size({draw(paths(variables))})"
        case _:
            return draw(CONSTANTS)


@st.composite
def conditions(draw: st.DrawFn, variables: tuple[str, ...] = (), depth: int = 0) -> str:
    path = draw(paths(variables))
    kind = draw(st.integers(0, 9 if depth < 3 else 4))
    match kind:
        case 0:
            return path
        case 1 | 2:
            return f"{path} {draw(ORDERS)} {draw(operands(variables))}"
        case 3:
            return f"{draw(operands(variables))} in {path}"
        case 4:
            return draw(st.sampled_from([f"{path}.{draw(TESTS)}('a')", f"has({path}.a)"]))
        case 5 | 6:
            name = draw(st.sampled_from(["x", "y"]))
            inner = draw(conditions((*variables, name), depth + 1))
            return f"{path}.{draw(st.sampled_from(['all', 'exists']))}({name}, {inner})"
        case _:
            one, other = (draw(conditions(variables, depth + 1)) for _ in range(2))
            form = draw(
                st.sampled_from(["({0}) && ({1})", "({0}) || ({1})", "({0}) ? ({1}) : !({0})"])
            )
            return form.format(one, other)


def of_the_library(text: str, claims: dict[str, Any]) -> bool:
    result = ENVIRONMENT.compile(text).eval(data={"claims": claims})
    return bool(result.type() == cel.Type.BOOL and result.value())


@given(conditions(), CLAIMS)
@example("claims.a.exists(x, x == 'a')", {"a": [1, {}, "a"]})
@example("claims.a.all(x, claims.b.exists(x, x == 'a'))", {"a": [1], "b": ["a"]})
@example("claims.a != 1", {})
@example("claims.a == 1", {"a": 1.0})
@example("claims.a < 'é'", {"a": "\U0001f600"})
def test_the_core_and_cel_agree(text: str, claims: dict[str, Any]) -> None:
    # The opposite of what is false is true; what has no value has no opposite.
    for each in (text, f"!({text})"):
        try:
            expression = compile_expression(each)
        except Refused:
            # The types do not fit, which CEL's compiler sees.
            reject()
        assert expression.evaluate(claims, MAX_STEPS)[0] is of_the_library(each, claims), each
