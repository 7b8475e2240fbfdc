"""What Envoy and the processor have to agree on about an application."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple

from extproc.settings.domain import applications
from extproc.settings.fingerprint import fingerprint

MAIN = {"issuer": "https://idp.test", "client_id": "x", "client_secret": "s" * 32}


def of(name: str = "app", **changes: Any) -> str:
    return fingerprint(simple(applications={name: {**APP, **changes}}), name)


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": ["localhost", "other.example"]},
        {"path_prefix": "/app/"},
        {"url": "https://localhost/"},
        {"public_paths": ["/public/"]},
        {"acr_values": ["mfa"]},
        {"max_age": "5m"},
        {"prompt": "login"},
        {"authorization_params": {"kc_idp_hint": "x"}},
        {"forward_access_token": True},
        {"end_streams": ["websocket"]},
    ],
)
def test_what_envoy_s_routes_are_made_of_counts(changes: dict[str, Any]) -> None:
    assert of(**changes) != of() == of()


def test_names_that_are_swapped_count() -> None:
    assert of("app") != of("wiki")


@pytest.mark.parametrize(
    "changes", [{"upstream": "http://127.0.0.1:9999"}, {"stream_lifetime": "1h"}]
)
def test_what_only_one_side_reads_does_not_count(changes: dict[str, Any]) -> None:
    assert of(**changes) == of()


IDENTITY = {"x-auth-sub": "sub", "x-auth-mail": "email"}


@pytest.mark.parametrize(
    "changes",
    [
        {"store": {"kind": "cookie"}, "providers": {"main": {**MAIN, "backchannel_logout": False}}},
        {"providers": {"main": {**MAIN, "backchannel_logout": False}}},
        {"identity": {"headers": IDENTITY}},
        {"identity": {"header_prefix": "x-id-", "headers": {"x-id-sub": "sub"}}},
    ],
)
def test_settings_of_all_applications_by_which_envoy_is_made_count(changes: dict[str, Any]) -> None:
    changed = fingerprint(simple(**changes), "app")
    assert changed != fingerprint(simple(), "app")
    if "store" in changes:
        changes = {"providers": changes["providers"]}
        assert changed != fingerprint(simple(**changes), "app")


def test_the_claim_of_an_identity_header_does_not_count() -> None:
    made = simple(identity={"headers": {"x-auth-sub": "sub", "x-auth-mail": "upn"}})
    assert fingerprint(made, "app") == fingerprint(simple(identity={"headers": IDENTITY}), "app")


def beside(name: str = "app", upstream_paths: str = "folds", **inner: Any) -> str:
    """The fingerprint of an application on every path of a host that has another one."""
    outer = {**APP, "upstream_paths": upstream_paths}
    other = {**APP, "path_prefix": "/inner/", **inner}
    providers = {"main": MAIN, "staff": MAIN}
    return fingerprint(
        simple(applications={"app": outer, "inner": other}, providers=providers), name
    )


ELSEWHERE = {"upstream": "http://127.0.0.1:9999"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"hosts": ["b.test"], "url": "http://b.test/inner/"}, {}),
        ({"hosts": ["b.test"], "url": "http://b.test/inner/"}, {"hosts": ["*"]}),
        ({}, {"path_prefix": "/moved/"}),
        ({}, {"provider": "staff"}),
        ({}, {"acr_values": ["mfa"]}),
        ({}, {"max_age": "5m"}),
        ({}, {"upstream": "http://localhost:9999"}),
        ({"exclude": True, "provider": None}, {}),
    ],
)
def test_what_another_application_on_the_same_hosts_changes_in_the_routes_counts(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert beside(**one) != beside(**other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ELSEWHERE, {**ELSEWHERE, "provider": "staff"}),
        (ELSEWHERE, {**ELSEWHERE, "acr_values": ["mfa"]}),
        ({"upstream": "http://127.0.0.1:9600"}, {"upstream": "http://localhost:9600"}),
        ({}, {"stream_lifetime": "1h"}),
        ({"upstream_paths": "exact"}, {"upstream_paths": "exact", "provider": "staff"}),
        ({"name": "inner"}, {"name": "inner", "provider": "staff"}),
    ],
)
def test_what_another_application_keeps_to_itself_does_not_count(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert beside(**one) == beside(**other)


def test_the_order_of_hosts_does_not_count() -> None:
    assert of(hosts=["localhost", "b"]) == of(hosts=["b", "localhost"])


def test_the_core_has_the_same_one() -> None:
    made = simple()
    assert applications(made, made.key_ring())["app"].fingerprint == fingerprint(made, "app")
