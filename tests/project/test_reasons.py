"""The table of reasons and the code agree: nothing ends for a reason outside the table."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from harness.sources import parsed

import extproc
from extproc.core.reasons import REASONS

SOURCES = [
    path for path in Path(extproc.__file__).parent.rglob("*.py") if "_wire" not in path.parts
]
FAMILIES = {
    "InvalidIDToken": "id_token",
    "UnverifiedToken": "id_token",
    "InvalidLogoutToken": "logout_token",
}


@cache
def calls() -> tuple[tuple[str, list[ast.expr]], ...]:
    return tuple(_calls())


def _calls() -> Iterator[tuple[str, list[ast.expr]]]:
    for path in SOURCES:
        for node in ast.walk(parsed(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id, node.args


def literal(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def test_every_answer_in_the_code_is_a_row_with_its_status():
    answers = [
        args for name, args in calls() if name == "Respond" and len(args) > 1 and literal(args[1])
    ]
    assert len(answers) >= 9
    for status, reason in ((literal(args[0]), str(literal(args[1]))) for args in answers):
        assert reason in REASONS and REASONS[reason].status == status, (status, reason)
    going_on = [
        literal(args[0])
        for name, args in calls()
        if name == "Continue" and args and literal(args[0])
    ]
    assert going_on and all(REASONS[str(reason)].status is None for reason in going_on)


def test_every_check_of_a_token_is_a_row():
    checks = [
        (FAMILIES[name], literal(args[0]))
        for name, args in calls()
        if name in FAMILIES and literal(args[0])
    ]
    assert len(checks) > 20 and all(f"{family}_{check}" in REASONS for family, check in checks)


REMEDIES = {
    # Azure AD B2C sends no access token for the scope openid alone
    "invalid_token_response": ("access_token is missing", "add the client_id", "scopes"),
    "invalid_userinfo": ("401 or 403", "providers.NAME.userinfo: never"),
    "id_token_audience": ("providers.NAME.trusted_audiences", "azp"),
    "id_token_algorithm": ("HS256", "client secret", "choose RS256"),
    "id_token_signature": ("even after another fetch of the keys",),
    "session_too_large": ("identity.max_header_bytes", "groups"),
}


@pytest.mark.parametrize("code", REMEDIES)
def test_what_real_providers_do_is_in_the_remedy(code: str) -> None:
    for words in REMEDIES[code]:
        assert words in REASONS[code].remedy


PROVIDERS = Path(__file__).parents[2] / "docs/providers.md"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("Azure AD B2C", ("invalid_token_response", "scopes: [openid, CLIENT_ID]")),
        ("Microsoft Entra ID", ("trust_email: true", "_claim_names", "header_left_out", "userinfo: never")),
        ("AWS Cognito", ("email_verified",)),
        ("Zitadel", ("id_token_audience", "trusted_audiences", "azp")),
    ],
)  # fmt: skip
def test_what_a_provider_needs_is_in_its_section_of_the_docs(section, words) -> None:
    text = PROVIDERS.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    assert [each for each in words if each not in text] == []
