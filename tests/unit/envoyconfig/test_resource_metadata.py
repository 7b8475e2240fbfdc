"""The routes of protected resource metadata (RFC 9728)."""

import json
from typing import Any

from harness.envoy_config import APP, simple

from extproc.envoyconfig.resource_metadata import document, resource_metadata
from extproc.settings import Settings

API: dict[str, Any] = {"name": "api", "paths": ["/"], "accept": ["bearer"]}
WELL_KNOWN = "/.well-known/oauth-protected-resource"


def below(prefix: str, *scopes: str) -> dict[str, Any]:
    allow = {"allow": {"scopes": list(scopes)}} if scopes else {}
    rule = {**API, "paths": [prefix], **allow}
    return {**APP, "path_prefix": prefix, "rules": [rule] if scopes else []}


def made(**applications: dict[str, Any]) -> Settings:
    return simple(applications=applications)


def found(settings: Settings, *names: str) -> list[tuple[str, str, int]]:
    return [
        (
            route.name,
            str(route.match and route.match.path_separated_prefix),
            route.direct_response.status if route.direct_response else 0,
        )
        for route in resource_metadata(settings, names)
    ]


def test_an_application_that_accepts_no_tokens_has_no_document() -> None:
    assert found(made(app=APP), "app") == []


def test_the_document_can_be_read_by_everybody_and_changed_by_nobody() -> None:
    settings = made(app=below("/", "read"))
    assert found(settings, "app") == [
        ("app:resource-metadata", WELL_KNOWN, 200),
        ("app:resource-metadata:preflight", WELL_KNOWN, 204),
        ("app:resource-metadata:method", WELL_KNOWN, 405),
    ]


def test_each_application_answers_for_its_own_paths_and_none_for_another_one_s() -> None:
    settings = made(wiki=below("/wiki/"), shop=below("/shop/", "buy"), app=below("/", "read"))
    paths = [(name, path, status) for name, path, status in found(settings, "wiki", "shop", "app")]
    assert paths[:2] == [
        ("wiki:resource-metadata", f"{WELL_KNOWN}/wiki", 404),
        ("shop:resource-metadata", f"{WELL_KNOWN}/shop", 200),
    ]
    assert paths[4] == ("app:resource-metadata", WELL_KNOWN, 200)
    only = made(shop=below("/shop/", "buy"), app=below("/"))
    assert {path for _, path, _ in found(only, "shop", "app")} == {f"{WELL_KNOWN}/shop"}


def test_the_document_is_what_the_settings_say() -> None:
    settings = made(app=below("/", "write read", "admin"))
    route = next(iter(resource_metadata(settings, ["app"])))
    assert route.direct_response is not None and route.direct_response.body is not None
    body = json.loads(route.direct_response.body.inline_string)
    assert (
        body
        == document(settings, "app")
        == {
            "resource": settings.url("app"),
            "authorization_servers": [settings.providers["main"].issuer],
            "scopes_supported": ["admin", "read", "write"],
            "bearer_methods_supported": ["header"],
        }
    )
