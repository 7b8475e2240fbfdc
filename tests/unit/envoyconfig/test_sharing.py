"""Which applications share an upstream and ask different things of a user."""

from typing import Any

import pytest
from harness.envoy_config import APP
from harness.two_applications import made, two

from extproc.envoyconfig.sharing import Overlap, demands, overlap


@pytest.mark.parametrize(
    ("outer", "inner", "asks"),
    [
        ({}, {}, []),
        ({"exclude": True, "provider": None}, {}, ["a login"]),
        ({}, {"exclude": True, "provider": None}, []),
        ({"public_paths": ["/"]}, {}, ["a login"]),
        ({"public_paths": ["/PAY./"]}, {"path_prefix": "/pay/roll/"}, ["a login"]),
        ({"public_paths": ["/payroll.html", "/pay/"]}, {}, []),
        ({}, {"public_paths": ["/payroll/"]}, []),
        ({}, {"provider": "other"}, ["the provider other"]),
        ({}, {"acr_values": ["a"]}, ["acr_values"]),
        ({"acr_values": ["a"]}, {"acr_values": ["b", "a"]}, []),
        ({"acr_values": ["a", "b"]}, {"acr_values": ["a"]}, ["acr_values"]),
        ({"acr_values": ["a"]}, {}, []),
        ({"max_age": "10m"}, {"max_age": "5m"}, ["max_age"]),
        ({"max_age": "5m"}, {"max_age": "10m"}, []),
        ({}, {"max_age": "10m", "prompt": "login"}, ["max_age", "prompt"]),
        ({"prompt": "login consent"}, {"prompt": "consent"}, []),
        ({"prompt": "consent"}, {"prompt": "login consent"}, ["prompt"]),
        ({}, {"authorization_params": {"kc_idp_hint": "x"}}, ["authorization_params"]),
        ({"rules": [{"name": "a", "paths": ["/"], "login": "none"}]}, {}, ["a login"]),
        ({"rules": [{"name": "a", "paths": ["/"], "login": "optional"}]}, {}, ["a login"]),
        ({"rules": [{"name": "a", "paths": ["/other"], "login": "none"}]}, {}, []),
        ({"rules": [{"name": "a", "paths": ["/"], "deny": True}]}, {}, []),
        ({}, {"allow": {"groups": ["g"]}}, ["allow"]),
        ({"allow": {"groups": ["g"]}}, {"allow": {"groups": ["g"]}}, []),
        ({"allow": {"groups": ["g"]}}, {}, []),
        (
            {"authorization_params": {"kc_idp_hint": "x"}},
            {"authorization_params": {"kc_idp_hint": "x"}},
            [],
        ),
        ({}, {"authorization_params": {"ui_locales": "de", "display": "page"}}, []),
        (
            {"forward_access_token": True},
            {"stream_lifetime": "5m", "end_streams": ["websocket"]},
            [],
        ),
    ],
)
def test_what_one_application_asks_and_the_other_does_not(
    outer: dict[str, Any], inner: dict[str, Any], asks: list[str]
) -> None:
    found = two(outer, inner).applications
    assert list(demands(found["outer"], found["inner"])) == asks


@pytest.mark.parametrize(
    ("outer", "inner", "segments"),
    [
        ("/", "/payroll/", ("payroll",)),
        ("/a/", "/a/B/c/", ("b", "c")),
        ("/A/", "/a/b/", ("b",)),
        ("/a./", "/a/", ()),
        ("/App/", "/app/", ()),
        ("/App/static/", "/app/", ()),
        ("/app/static/", "/app/", None),
        ("/a/", "/b/", None),
        ("/ab/", "/a/", None),
    ],
)
def test_which_prefix_an_upstream_may_read_as_another(
    outer: str, inner: str, segments: tuple[str, ...] | None
) -> None:
    found = overlap(two({"path_prefix": outer}, {"max_age": "5m"}, inner), "outer", "inner")
    assert found == (
        None if segments is None else Overlap("outer", "inner", segments, ("max_age",))
    )


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://app:80", "http://APP/", True),
        ("https://app", "https://app:443", True),
        ("http://app:8443", "https://app:8443", True),
        ("http://localhost:81", "http://[::1]:81", True),
        ("http://app:81", "http://app:82", False),
        ("http://one", "http://two", False),
    ],
)
def test_an_upstream_is_its_host_and_port(one: str, other: str, same: bool) -> None:
    found = overlap(
        two({"upstream": one, "exclude": True, "provider": None}, {"upstream": other}),
        "outer",
        "inner",
    )
    assert (found is not None) == same


def test_prefixes_have_no_dot_segments() -> None:
    for prefix in ("/../", "/a/./"):
        with pytest.raises(ValueError, match="path_prefix begins and ends with /"):
            made(app={**APP, "path_prefix": prefix})


def test_preflights_that_pass_at_the_outer_application_alone_are_a_demand() -> None:
    def asked(outer: str, inner: str) -> tuple[str, ...]:
        two = made(
            outer={**APP, "preflight": outer},
            inner={**APP, "path_prefix": "/inner/", "preflight": inner},
        )
        found = overlap(two, "outer", "inner")
        return found.asks if found else ()

    assert asked("pass", "decide") == ("a login for preflights",)
    assert asked("decide", "decide") == asked("pass", "pass") == asked("decide", "pass") == ()
