"""Access tokens at an application as values of the core."""

from typing import Any

from harness.envoy_config import APP, simple
from harness.section import made

from extproc.settings.domain import applications
from extproc.settings.domain_bearer import bearer_access

API: dict[str, Any] = {"name": "api", "paths": ["/api/"], "accept": ["bearer"]}


def test_an_application_without_a_rule_for_tokens_has_none() -> None:
    assert bearer_access(made(), "app") is None


def test_each_provider_has_a_profile_for_the_audiences_of_the_application() -> None:
    settings = made(rules=[API], bearer={"audiences": ["https://api.example"]}, forward_bearer=True)
    access = applications(settings, settings.key_ring())["app"].bearer
    assert access is not None and access.opaque is None and access.forward
    (profile,) = access.profiles
    url = settings.url("app")
    assert profile.provider == "main"
    assert profile.audiences == {url, url.rstrip("/"), "https://api.example"}
    assert access.metadata_url == f"{url}.well-known/oauth-protected-resource"


def test_opaque_tokens_are_those_of_the_provider_that_the_settings_name() -> None:
    asking = {"introspection": {"client_id": "asks", "client_secret": "s"}}
    main = {"issuer": "https://idp.example", "client_id": "gateway", "access_tokens": asking}
    app = {**APP, "rules": [API], "bearer": {"opaque": "main"}}
    access = bearer_access(simple(applications={"app": app}, providers={"main": main}), "app")
    assert access is not None and access.opaque == access.profiles[0] and not access.forward
