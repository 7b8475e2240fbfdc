"""`expression` in an `allow`, and what is wrong with one in the operator's words."""

import sys

import pytest
from harness.section import faults, made

from extproc.core.access_conditions import Entry
from extproc.settings import expression
from extproc.settings.access import access_digest
from extproc.settings.domain_access import access
from extproc.settings.expression import MAX_CHARACTERS, Refused, compile_expression

TEXT = "claims.level >= 3"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "has 0 characters; 1 to 1000 are allowed"),
        ("claims.a" + " " * MAX_CHARACTERS, "has 1008 characters"),
        ("claims.a ==", "is no CEL about claims: Syntax error"),
        ("claims.a ==\n && claims.b", "(line 2, column 2)"),
        ("request.path == claims.a", "undeclared reference to 'request"),
        ("now() > claims.a", "undeclared reference to 'now'"),
        ("claims.groups.size()", "gives int; write what gives true or false"),
        ("'a'", "gives string"),
        ("true", "names no claim"),
        ("(" * 40 + "claims.a" + ")" * 40, "recursion limit"),
        ("claims" + ".a" * 400, "Exceeded max recursion depth"),
        ("claims.a == '\ud800'", "has a control character"),
        ("claims.a == 'x\0'", "has a control character"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, fault: str) -> None:
    with pytest.raises(Refused) as caught:
        compile_expression(text)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("claims.level >", "expression: it is no CEL about claims: Syntax error"),
        ("claims.groups.map(g, g)[0] == 'x'", "expression: it uses another macro"),
        ("claims.acr == 'mfa'", "claims.acr is not about the user; write acr_values"),
        ("claims['auth_time'] > 1", "claims.auth_time is not about the user; write max_age"),
        ("claims.iss == 'x'", "write providers"),
        ("claims.aud == 'x'", "claims.aud is not about the user; name other claims"),
        ("claims.email.endsWith('@example.com')", "write emails or email_domains"),
        (1, "input should be a valid string"),
    ],
)
def test_a_mistake_in_an_expression_is_named(text: object, fault: str) -> None:
    (found,) = faults(allow={"expression": text})
    assert found.startswith("applications.app.allow") and fault in found


def test_an_address_counts_in_an_expression_that_asks_whether_it_is_verified() -> None:
    assert made(allow={"expression": "claims.email_verified && claims.email.endsWith('@a.b')"})


def test_an_expression_is_part_of_the_core_s_entry_and_of_the_digest() -> None:
    settings = made(allow={"expression": TEXT, "groups": ["staff"]})
    (entry,) = access(settings, "app").allow
    assert entry == Entry(groups=frozenset(("staff",)), expression=compile_expression(TEXT))
    other = made(allow={"expression": "claims.level >= 2", "groups": ["staff"]})
    digests = {access_digest(each.applications["app"].allow, (), ()) for each in (settings, other)}
    assert len(digests) == 2


def test_an_expression_is_compiled_once() -> None:
    assert compile_expression(TEXT) is compile_expression(TEXT)


def test_without_the_package_an_expression_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cached in (expression.compile_expression, expression._environment):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, "cel_expr_python", None)
    with pytest.raises(ValueError, match=r"install extproc-oidc\[expression\]"):
        made(allow={"expression": TEXT})
    monkeypatch.undo()
    assert made(allow={"expression": TEXT})
