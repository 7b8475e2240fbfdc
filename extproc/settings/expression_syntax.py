"""From an expression that CEL's compiler has read to what the core evaluates.

Accepted is what the core knows (core/expression_nodes.py). `+`, `map`, `filter` and `matches` are
not: they make values that are larger than what they read, or are regular expressions.
"""

from collections.abc import Callable, Iterator

from extproc._wire import cel_syntax_pb2 as cel
from extproc.core.expression_nodes import (
    AllClaims,
    Conditional,
    Constant,
    Equals,
    In,
    Index,
    Items,
    Logical,
    Macro,
    Member,
    Node,
    Not,
    Ordered,
    Size,
    TextTest,
    Variable,
)

VARIABLE = "claims"
_KNOWN = "&&, ||, !, ?:, comparisons, in, size, startsWith, endsWith, contains, has, all and exists"
# what CEL calls its functions and operators, by what is made of their operands
_CALLS: dict[str, Callable[..., Node]] = {
    "_&&_": lambda left, right: Logical(False, left, right),
    "_||_": lambda left, right: Logical(True, left, right),
    "!_": Not,
    "_?_:_": Conditional,
    "_==_": Equals,
    "_!=_": lambda left, right: Not(Equals(left, right)),
    "_<_": lambda left, right: Ordered("<", left, right),
    "_<=_": lambda left, right: Ordered("<=", left, right),
    "_>_": lambda left, right: Ordered(">", left, right),
    "_>=_": lambda left, right: Ordered(">=", left, right),
    "@in": In,
    "_[_]": Index,
    "size": Size,
    "startsWith": lambda text, part: TextTest("startsWith", text, part),
    "endsWith": lambda text, part: TextTest("endsWith", text, part),
    "contains": lambda text, part: TextTest("contains", text, part),
}
# the step of `all` and `exists`, and what decides
_FOLDS = {"_&&_": False, "_||_": True}


class Refused(ValueError):
    """An expression that is not accepted. The text is for the operator."""


def parsed(checked: bytes) -> tuple[Node, frozenset[str]]:
    """What an expression consists of, and the claims that it names.

    checked: the expression, as cel.expr.CheckedExpr (CEL's checked.proto).

    Raises Refused.
    """
    reader = _Reader()
    root = reader.node(cel.CheckedExpr.FromString(checked).expr)
    return root, frozenset(reader.claims)


class _Reader:
    """Reads one expression. claims: the claims that it names."""

    def __init__(self) -> None:
        self.claims: set[str] = set()

    def node(self, part: cel.Expr, variables: tuple[str, ...] = ()) -> Node:
        match part.WhichOneof("expr_kind"):
            case "const_expr":
                return _constant(part.const_expr)
            case "ident_expr":
                return _variable(part.ident_expr.name, variables)
            case "select_expr":
                select = part.select_expr
                of = self._of(select.operand, select.field, variables)
                return Member(of, select.field, select.test_only)
            case "call_expr":
                return self._call(part.call_expr, variables)
            case "list_expr":
                return Items(tuple(self.node(each, variables) for each in part.list_expr.elements))
            case "comprehension_expr":
                return self._macro(part.comprehension_expr, variables)
            case _:
                raise Refused("has an object; compare the members that count instead")

    def _of(self, part: cel.Expr, member: str, variables: tuple[str, ...]) -> Node:
        """A part of which a member is asked for. If it is `claims`, the member is a claim."""
        if part.ident_expr.name != VARIABLE:
            return self.node(part, variables)
        self.claims.add(member)
        return AllClaims()

    def _call(self, call: cel.Call, variables: tuple[str, ...]) -> Node:
        operands = list(_operands(call))
        make = _CALLS.get(call.function)
        if make is None:
            name = call.function.strip("_@")[:80]
            raise Refused(f"uses {name}; there are only {_KNOWN}")
        if call.function == "_[_]" and operands[1].const_expr.HasField("string_value"):
            name = operands[1].const_expr.string_value
            return Index(self._of(operands[0], name, variables), Constant(name))
        return make(*(self.node(each, variables) for each in operands))

    def _macro(self, macro: cel.Comprehension, variables: tuple[str, ...]) -> Node:
        step = macro.loop_step.call_expr
        folds = macro.accu_init.const_expr.HasField("bool_value")
        if not folds or step.function not in _FOLDS or macro.iter_var2:
            raise Refused("uses another macro than has, all and exists")
        if macro.iter_var == VARIABLE:
            raise Refused(f"calls a variable {VARIABLE}; choose another name")
        # The first operand is what the macro has come to so far.
        _, condition = step.args
        return Macro(
            _FOLDS[step.function],
            self.node(macro.iter_range, variables),
            macro.iter_var,
            self.node(condition, (*variables, macro.iter_var)),
        )


def _operands(call: cel.Call) -> Iterator[cel.Expr]:
    if call.HasField("target"):
        yield call.target
    yield from call.args


def _constant(constant: cel.Constant) -> Node:
    match constant.WhichOneof("constant_kind"):
        case "null_value":
            return Constant(None)
        case "bool_value":
            return Constant(constant.bool_value)
        case "int64_value":
            return Constant(constant.int64_value)
        case "double_value":
            return Constant(constant.double_value)
        case "string_value":
            return Constant(constant.string_value)
        case _:
            raise Refused("has bytes or an unsigned number, which no claim is")


def _variable(name: str, variables: tuple[str, ...]) -> Node:
    if name in variables:
        return Variable(name)
    if name == VARIABLE:
        raise Refused(
            f"names {VARIABLE} without a claim; write {VARIABLE}.groups, or "
            f'{VARIABLE}["https://example.com/roles"]'
        )
    raise Refused(f"names {name[:80]}; there is only {VARIABLE}")
