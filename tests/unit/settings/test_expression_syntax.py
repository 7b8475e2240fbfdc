"""Which expressions are accepted, and which claims they name."""

import pytest

from extproc.settings.expression import Refused, compile_expression


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("'admins' in claims.groups", {"groups"}),
        ("!('contractors' in claims['groups'])", {"groups"}),
        ("has(claims.level) && claims.level >= 3", {"level"}),
        ("claims.owner == claims.preferred_username", {"owner", "preferred_username"}),
        ("claims.realm_access.roles.all(r, r.startsWith('a'))", {"realm_access"}),
        ("claims['https://x/roles'].exists(r, r.a == 'a' && 'x' in claims.b)", {"https://x/roles", "b"}),
        ("claims.a[claims.b].m.exists(m, m == 'a' || m in ['b', null])", {"a", "b"}),
        ("size(claims.a) > -1 ? claims.b < 2.5 : claims.c.contains(claims.d)", {"a", "b", "c", "d"}),
    ],
)  # fmt: skip
def test_an_expression_names_its_claims(text: str, claims: set[str]) -> None:
    assert compile_expression(text).claims == claims


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("claims.groups.map(x, x) == claims.groups", "another macro than has, all and exists"),
        ("claims.groups.filter(x, x == 'a').size() == 1", "another macro than"),
        ("claims.groups.exists_one(x, x == 'a')", "another macro than"),
        ("claims.groups.exists(claims, claims.a == 1)", "calls a variable claims"),
        ("claims.a + claims.a == 'aa'", "uses +; there are only"),
        ("claims.a * 2 == 4", "uses *;"),
        ("claims.name.matches('(a{1,100}){1,10}b')", "uses matches;"),
        ("timestamp(claims.a) == claims.b", "uses timestamp;"),
        ("int(claims.a) == 1", "uses int;"),
        ("{'a': claims.a} == claims.b", "has an object"),
        ("google.protobuf.Int64Value{value: 1} == claims.a", "has an object"),
        ("claims.a == b'x'", "bytes or an unsigned number"),
        ("claims.a == 1u", "bytes or an unsigned number"),
        ("claims == claims.a", "names claims without a claim"),
        ("claims[claims.a] == 1", "names claims without a claim"),
        ("claims[1] == 1", "no CEL about claims"),
        ("size(claims) > 1", "names claims without a claim"),
        ("claims.exists(c, c == 'a')", "names claims without a claim"),
        ("int == claims.a", "names int; there is only claims"),
    ],
)
def test_what_the_core_does_not_evaluate_is_refused(text: str, fault: str) -> None:
    with pytest.raises(Refused) as caught:
        compile_expression(text)
    assert fault in str(caught.value)
