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
        ({"rules": [], "bearer": {"opaque": "main"}}, "bearer: no rule has accept: [bearer]"),
        ({"rules": [], "forward_bearer": True}, "forward_bearer: no rule has accept: [bearer]"),
    ],
)
def test_a_mistake_is_named(changes: dict[str, Any], what: str) -> None:
    (fault,) = faults(**{"rules": [API], **changes})
    assert what in fault


def test_a_token_is_for_one_application() -> None:
    section = {**APP, "rules": [API]}
    applications = {
        "one": {**section, "hosts": ["one.example"], "url": "http://one.example/"},
        "two": {
            **section,
            "hosts": ["two.example"],
            "url": "http://two.example/",
            "bearer": {"audiences": ["http://one.example"]},
        },
    }
    with pytest.raises(ValidationError, match="is an audience of one as well"):
        simple(applications=applications)


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
    accepted = simple(applications={"app": app}, providers=PROVIDERS).accepted["app"]
    assert (accepted.providers, accepted.opaque) == (("other",), "other")
