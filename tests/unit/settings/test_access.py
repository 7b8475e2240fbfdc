"""Settings of access: rules."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple
from harness.section import faults, made
from pydantic import ValidationError

from extproc.settings.access import access_digest


def rule(**changes: Any) -> dict[str, Any]:
    return {"name": "admin", "paths": ["/admin/"], **changes}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"methods": ["get"]}, "rules[0].methods[0]: input should be 'GET'"),
        ({"paths": []}, "rules[0].paths: "),
        ({"paths": ["admin"]}, "rules.admin.paths: 'admin' is not a plain path"),
        ({"paths": ["/a/../b"]}, "is not a plain path below path_prefix /"),
        ({"paths": ["/a/./b"]}, "is not a plain path below path_prefix /"),
        ({"paths": ["/" + "a%" * 99]}, f"{('/' + 'a%' * 99)[:80]!r} is not a plain path"),
        ({"paths": ["/oauth2/" + "a" * 99]}, f"{('/oauth2/' + 'a' * 99)[:80]!r} is where the"),
        ({"allow": None}, "allow is empty; give it an entry, or leave it out to admit everybody"),
        ({"paths": ["/a%2fb"]}, "is not a plain path"),
        ({"paths": ["/oauth2/"]}, "is where the processor's own endpoints are"),
        ({"name": "a b"}, "rules[0].name: is not a name"),
        ({"deny": True, "allow": {"groups": ["a"]}}, "deny: true goes with none of"),
        ({"deny": True, "login": "none"}, "deny: true goes with none of"),
        ({"deny": True, "networks": ["10.0.0.0/8"]}, "deny: true goes with none of"),
        ({"deny": True, "max_claims_age": "5m"}, "deny: true goes with none of"),
        ({"methods": []}, "methods is an empty list"),
        ({"networks": []}, "networks is an empty list"),
        ({"login": "none", "allow": {"groups": ["a"]}}, "login: none goes with none of"),
        ({"login": "none", "max_claims_age": "5m"}, "login: none goes with none of"),
        ({"mode": "shadow", "login": "optional"}, "mode: shadow goes with none of"),
        ({"mode": "shadow", "networks": ["10.0.0.0/8"]}, "mode: shadow goes with none of"),
        ({"mode": "shadow", "accept": ["bearer"]}, "mode: shadow goes with none of"),
        ({"accept": []}, "accept is an empty list"),
        ({"accept": ["bearer", "bearer"]}, "accept names a value twice"),
        ({"accept": ["cookie"]}, "rules[0].accept[0]: input should be 'session' or 'bearer'"),
        ({"accept": ["bearer"], "deny": True}, "deny: true goes with none of"),
        ({"accept": ["bearer"], "login": "none"}, "login: none goes with none of"),
        ({"networks": ["10.0.0.1/8"]}, "rules[0].networks[0]: a network is an address"),
        ({"max_claims_age": 1.5}, "rules[0].max_claims_age: "),
        ({"max_claims_age": 60.5}, "max_claims_age is whole seconds"),
    ],
)
def test_a_mistake_in_a_rule_is_named(changes: dict[str, Any], what: str) -> None:
    (fault,) = faults(rules=[rule(**changes)])
    assert what in fault and fault.startswith("applications.app")


@pytest.mark.parametrize(
    ("public", "path", "met"),
    [
        ("/pub/", "/pub", True),
        ("/Pub/x/", "/pub/", True),
        ("/pub/", "/pub/x", True),
        ("/public", "/pub", False),
    ],
)
def test_a_public_path_meets_no_rule(public: str, path: str, met: bool) -> None:
    changes: dict[str, Any] = {"public_paths": [public], "rules": [rule(paths=[path])]}
    if met:
        assert faults(**changes)[0].endswith(
            f"rules.admin.paths: {path} and {public} of public_paths overlap; leave one of them "
            "out, or make the public one a rule with login: optional"
        )
    else:
        made(**changes)


@pytest.mark.parametrize(
    ("paths", "met"),
    [
        (["/admin/", "/Admin/"], True),
        (["/admin/", "/Admin/x"], True),
        (["/Admin/", "/admin/x/"], True),
        (["/admin/", "/admin"], False),
        (["/admin/", "/admin/x"], False),
        (["/admin/", "/Administrator"], False),
    ],
)
def test_two_paths_of_rules_are_not_one_to_an_upstream_that_ignores_case(
    paths: list[str], met: bool
) -> None:
    one, other = sorted(paths)
    rules = [rule(paths=[one]), rule(name="other", paths=[other])]
    if met:
        assert faults(rules=rules)[0].endswith(
            f"rules: an upstream may read {one} as {other}; write both in the same case, or set "
            "upstream_paths: exact if it does not"
        )
    else:
        made(rules=rules)
    made(rules=rules, upstream_paths="exact")


def test_names_of_rules_are_unique_and_rules_are_not_without_number() -> None:
    assert "the name admin stands twice" in faults(rules=[rule(), rule()])[0]
    many = [rule(name=f"r{number}", paths=[f"/{number}/"]) for number in range(101)]
    assert "rules are 100 at most; there are 101" in faults(rules=many)[0]
    made(rules=many[:100])


def test_rules_are_below_the_application_s_path() -> None:
    assert (
        "not a plain path below path_prefix /wiki/"
        in faults(path_prefix="/wiki/", rules=[rule()])[0]
    )
    made(path_prefix="/wiki/", rules=[rule(paths=["/wiki", "/wiki/admin"])])


def test_nobody_signs_in_to_an_excluded_application() -> None:
    excluded = {"hosts": ["localhost"], "upstream": APP["upstream"], "exclude": True}
    for changes in ({"allow": {"groups": ["a"]}}, {"rules": [rule()]}):
        with pytest.raises(ValidationError, match="goes with neither allow nor rules"):
            simple(applications={"app": {**excluded, **changes}})


def test_a_login_can_satisfy_the_application_and_the_rule() -> None:
    wanted = rule(allow={"acr_values": ["gold"]})
    assert "no login has one of them" in faults(acr_values=["silver"], rules=[wanted])[0]
    made(acr_values=["silver", "gold"], rules=[wanted])


def test_the_digest_is_of_everything_that_is_said_about_access() -> None:
    base = {"allow": {"groups": ["a"]}, "rules": [rule(), rule(name="x", paths=["/x"])]}
    others: list[dict[str, Any]] = [
        {"allow": {"groups": ["b"]}},
        {"allow": {"users": ["a"]}},
        {"rules": base["rules"][::-1]},  # type: ignore[index]
        {"rules": [rule(deny=True), rule(name="x", paths=["/x"])]},
        {"rules": [rule(mode="shadow"), rule(name="x", paths=["/x"])]},
        {"rules": [rule(networks=["10.0.0.0/8"]), rule(name="x", paths=["/x"])]},
        {"public_paths": ["/pub/"]},
    ]

    def digest(**changes: Any) -> str:
        app = made(**changes).applications["app"]
        return access_digest(app.allow, app.rules, app.public_paths)

    digests = [digest(**base), *(digest(**{**base, **changes}) for changes in others)]
    assert len(set(digests)) == len(digests) and digests[0] == digest(**base)
    assert digest() == "" == digest(public_paths=["/pub/"])
    claims = {"a": ["1"], "b": ["2"]}
    orders = (claims, dict(reversed(claims.items())))
    assert len({digest(allow={"claims": each}) for each in orders}) == 1
