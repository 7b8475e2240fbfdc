"""Which origins are an application's own, and what its csrf keeps from those of its cors."""

from typing import Any

import pytest
from harness.envoy_config import APP, simple
from pydantic import ValidationError

from extproc.settings import Settings
from extproc.settings.origins import own_origins


def own(made: Settings, name: str) -> tuple[str, ...]:
    return own_origins(made.applications, name, made.url(name))


def test_a_host_with_pages_of_a_stranger_is_no_own_origin() -> None:
    bank = {**APP, "hosts": ["a.test", "b.test"], "url": "https://a.test/"}
    blog = {**APP, "hosts": ["b.test"], "path_prefix": "/blog/", "url": "https://b.test/blog/"}
    made = simple(applications={"bank": bank, "blog": blog})
    assert own(made, "bank") == ("https://a.test",)
    wiki = {**bank, "path_prefix": "/wiki/", "url": "https://a.test/wiki/"}
    made = simple(applications={"bank": bank, "wiki": wiki})
    assert own(made, "bank") == ("https://a.test", "https://b.test"), "on both hosts"


def test_the_own_origins_have_the_scheme_and_port_of_the_url() -> None:
    made = simple(
        applications={
            "app": {
                **APP,
                "hosts": ["*", "gw.test", "[::1]"],
                "url": "https://app.test:443/",
            },
            "wiki": {**APP, "path_prefix": "/wiki/"},
        }
    )
    assert own(made, "app") == ("https://app.test", "https://gw.test", "https://[::1]")
    assert own(made, "wiki") == ("http://localhost:8080",)


PORTAL = "https://portal.test"
REFUSES = "applications.app.cors: csrf: same_origin refuses "


@pytest.mark.parametrize(
    ("change", "explanation"),
    [
        ({}, f"{REFUSES}POST to pages of {PORTAL}; list it in allowed_origins, too, or set"),
        ({"allowed_origins": ["https://other.test"]}, f"{REFUSES}POST to pages of {PORTAL}"),
        ({"cors": {"origins": ["*"]}}, f"{REFUSES}POST to pages of *"),
        ({"cors": {"origins": ["null"], "methods": ["GET", "PUT"]}}, f"{REFUSES}PUT to pages of"),
        ({"allowed_origins": [PORTAL]}, ""),
        ({"csrf": "websockets"}, ""),
        ({"csrf": "off"}, ""),
        ({"cors": {"origins": ["*"], "methods": ["GET", "HEAD", "OPTIONS"]}}, ""),
        ({"cors": {"origins": ["http://localhost:8080", "http://other.test:8080"]}}, ""),
    ],
)
def test_csrf_and_cors_do_not_contradict_each_other(
    change: dict[str, Any], explanation: str
) -> None:
    base = {"csrf": "same_origin", "cors": {"origins": [PORTAL]}}
    app = {**APP, "hosts": ["localhost", "other.test"], **base, **change}
    if not explanation:
        assert simple(applications={"app": app}).applications["app"].cors
        return
    with pytest.raises(ValidationError) as caught:
        simple(applications={"app": app})
    assert explanation in str(caught.value)
