"""The table of reasons and the code say the same: nothing ends for a reason that is in no table. tests/e2e provokes each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import extproc
from extproc.oidc import errors
from extproc.oidc.reasons import PROVIDER_ERRORS, REASONS

SOURCES = [path for path in Path(extproc.__file__).parent.rglob("*.py") if "_wire" not in path.parts]
FAMILIES = {"InvalidIDToken": "id_token", "InvalidLogoutToken": "logout_token"}


def calls() -> Iterator[tuple[str, list[ast.expr]]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id, node.args


def literal(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def test_every_answer_in_the_code_is_a_row_with_its_status():
    answers = [args for name, args in calls() if name == "Respond" and len(args) > 1 and literal(args[1])]
    assert len(answers) >= 9
    for status, reason in ((literal(args[0]), str(literal(args[1]))) for args in answers):
        assert reason in REASONS and REASONS[reason].status == status, (status, reason)
    going_on = [literal(args[0]) for name, args in calls() if name == "Continue" and args and literal(args[0])]
    assert going_on and all(REASONS[str(reason)].status is None for reason in going_on)


def subclasses(kind: type) -> Iterator[type]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_refusal_is_a_row_and_is_an_error():
    plain = {kind.reason for kind in subclasses(errors.OIDCError) if "reason" in vars(kind)}
    assert len(plain) > 20 and all((REASONS[reason].status or 0) >= 400 for reason in plain)
    assert all(
        (errors.ProviderRefused(error).status or 0) >= 400 for error in (*PROVIDER_ERRORS, "<script>", "timeout")
    )
    # what a provider says never passes for what we say of a provider
    assert errors.ProviderRefused("timeout").reason == "provider_error"


def test_every_check_of_a_token_is_a_row():
    checks = [(FAMILIES[name], literal(args[0])) for name, args in calls() if name in FAMILIES and literal(args[0])]
    assert len(checks) > 20 and all(f"{family}_{check}" in REASONS for family, check in checks)


@pytest.mark.parametrize("kind", [errors.InvalidIDToken, errors.InvalidLogoutToken])
def test_a_check_that_is_in_no_table_is_a_bug_and_not_an_answer(kind):
    with pytest.raises(KeyError):
        _ = kind("made up").status
