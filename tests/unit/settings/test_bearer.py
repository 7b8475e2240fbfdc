"""Settings of access tokens at applications."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple
from harness.section import faults, made
from pydantic import ValidationError

API: dict[str, Any] = {"name": "api", "paths": ["/api/"], "accept": ["bearer"]}
PROVIDERS = {
    name: {
        "issuer": f"https://{name}.example",
        "client_id": f"{name}-gateway",
        "client_secret": "s",
    }
    for name in ("main", "other")
}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"bearer": {"audiences": []}}, "bearer.audiences: "),
        ({"bearer": {"audiences": [""]}}, "audiences: '' is no audience"),
        ({"bearer": {"audiences": ["a\nb"]}}, "is no audience"),
        ({"bearer": {"audiences": ["a" * 256]}}, "is no audience"),
        ({"bearer": {"audiences": ["gateway"]}}, "'gateway' is a client_id in providers"),
        ({"bearer": {"providers": ["x"]}}, "there is no provider 'x'; there are: main"),
        ({"bearer": {"opaque": "x"}}, "opaque: 'x' is none of the providers"),
        ({"bearer": {"opaque": "main"}}, "opaque: main has no access_tokens.introspection"),
        ({"rules": [], "bearer": {"opaque": "main"}}, "bearer: no rule has accept: [bearer]"),
        ({"rules": [], "forward_bearer": True}, "forward_bearer: no rule has accept: [bearer]"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], what: str) -> None:
    (fault,) = faults(**{"rules": [API], **changes})
    assert what in fault


def two(one: str, other: str) -> dict[str, Any]:
    """Two applications, each with an audience of its own."""
    section = {**APP, "rules": [API]}
    return {
        name: {
            **section,
            "hosts": [f"{name}.example"],
            "url": f"http://{name}.example/",
            "bearer": {"audiences": [audience]},
        }
        for name, audience in (("one", one), ("two", other))
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x", "http://one.example"),
        ("x", "x"),
        ("https://api.example", "https://api.example/"),
        ("https://api.example/v1", "HTTPS://API.example:443/v1/"),
        ("https://b\u00fccher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_a_token_is_for_one_application(one: str, other: str) -> None:
    with pytest.raises(ValidationError, match="is an audience of one as well"):
        simple(applications=two(one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://api.example/a", "https://api.example/A"),
        ("https://api.example/a", "https://api.example/a?b"),
        ("https://api.example:8443", "https://api.example"),
        ("https://[", "https://]"),
        ("https://a:x", "https://a:y"),
        ("api:a", "api:A"),
        ("urn:a", "urn:a/"),
    ],
)
def test_audiences_that_providers_tell_apart_are_two(one: str, other: str) -> None:
    assert len(simple(applications=two(one, other)).accepted) == 2


def test_an_audience_is_no_client_that_introspects() -> None:
    asking = {"introspection": {"client_id": "api", "client_secret": "s"}}
    main = {**PROVIDERS["main"], "access_tokens": asking}
    app = {**APP, "rules": [API], "bearer": {"audiences": ["api"], "opaque": "main"}}
    with pytest.raises(ValidationError, match="'api' is a client_id in providers"):
        simple(applications={"app": app}, providers={"main": main})


def test_no_two_providers_of_an_application_have_one_issuer() -> None:
    providers = {**PROVIDERS, "twin": {**PROVIDERS["main"], "client_id": "twin"}}
    app = {**APP, "rules": [API], "bearer": {"providers": ["main", "twin"]}}
    with pytest.raises(ValidationError, match="main and twin have one issuer"):
        simple(applications={"app": app}, providers=providers)
    app["bearer"] = {"providers": ["twin", "other"]}
    assert simple(applications={"app": app}, providers=providers).accepted


def test_the_url_of_the_application_is_always_an_audience() -> None:
    url = made().url("app")
    accepted = made(rules=[API]).accepted["app"]
    assert accepted.audiences == (url, url.rstrip("/"))
    assert (accepted.providers, accepted.opaque) == (("main",), None)
    more = made(rules=[API], bearer={"audiences": ["https://api.example", url]})
    assert more.accepted["app"].audiences == (url, url.rstrip("/"), "https://api.example")
    assert made().accepted == {}


def test_the_providers_whose_tokens_count_may_be_others_than_that_of_the_logins() -> None:
    bearer = {"providers": ["other"], "opaque": "other"}
    app = {**APP, "rules": [API], "bearer": bearer}
    asking = {"introspection": {"client_id": "asks", "client_secret": "s"}}
    providers = {**PROVIDERS, "other": {**PROVIDERS["other"], "access_tokens": asking}}
    accepted = simple(applications={"app": app}, providers=providers).accepted["app"]
    assert (accepted.providers, accepted.opaque) == (("other",), "other")
