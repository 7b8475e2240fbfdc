"""What Envoy adds to an application's responses, and what it takes out of them."""

from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, simple

from extproc.envoyconfig.response_headers import added, taken


def cache_control(*, public: bool = False, **change: Any) -> list[tuple[str, str]]:
    """What is done to Cache-Control: how, and the value."""
    made = simple(applications={"app": {**APP, **change}})
    return [
        (str(each.append_action.name), each.header.value)
        for each in added(made, "app", public=public)
        if each.header is not None and each.header.key == "cache-control"
    ]


RENEWED = (
    "APPEND_IF_EXISTS_OR_ADD",
    "%DYNAMIC_METADATA(envoy.filters.http.ext_proc:cache_control)%",
)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("no-cache", "private, no-cache"), ("no-store", "no-store"), ("off", None)],
)
def test_cache_control_is_added_where_the_application_says_nothing(
    setting: str, value: str | None
) -> None:
    unsaid = [("ADD_IF_ABSENT", value)] if value else []
    assert cache_control(cache_control=setting) == [RENEWED, *unsaid]
    assert cache_control(cache_control=setting, public=True) == [RENEWED]


def test_no_header_of_the_application_is_replaced_but_those_of_shared_caches_alone() -> None:
    for kept in (True, False):
        replaced = {
            each.header.key: each.append_action.name
            for each in added(simple(), "app", public=kept)
            if each.header is not None
            and each.append_action.name not in ("APPEND_IF_EXISTS_OR_ADD", "ADD_IF_ABSENT")
        }
        assert {"cdn-cache-control", "surrogate-control"} <= set(replaced)
        assert set(replaced.values()) == {"OVERWRITE_IF_EXISTS"}
        assert not {"cache-control", "set-cookie", "expires"} & set(replaced)


def test_an_excluded_application_answers_as_it_does() -> None:
    made = simple(applications={"open": OPEN})
    assert added(made, "open", public=False) == [] == taken(made, "open")


def test_below_a_prefix_no_service_worker_is_allowed_more() -> None:
    for application in (APP, OPEN):
        made = simple(applications={"app": {**application, "path_prefix": "/wiki/"}})
        assert taken(made, "app") == ["service-worker-allowed"]


def test_with_hsts_only_an_application_of_the_whole_host_has_its_own() -> None:
    gateway = {"url": "https://localhost", "hsts": 60}
    for application in (APP, OPEN):
        below = {**application, "path_prefix": "/wiki/"}
        made = simple(applications={"app": application, "wiki": below}, gateway=gateway)
        assert taken(made, "wiki") == ["service-worker-allowed", "strict-transport-security"]
        assert taken(made, "app") == []
