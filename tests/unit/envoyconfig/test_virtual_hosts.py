"""Which applications a host serves, and the order of their routes."""

from typing import Any

from harness.envoy_config import APP, OPEN, routes, simple, typed

from extproc.envoyconfig.virtual_hosts import hosts, hsts, served


def application(path_prefix: str, *listed: str) -> dict[str, Any]:
    return {**APP, "hosts": list(listed), "path_prefix": path_prefix, "url": f"http://{listed[-1]}{path_prefix}"}  # fmt: skip


def test_an_application_on_every_host_gives_way_to_a_host_s_own() -> None:
    made = simple(
        applications={
            "every": application("/x/", "*", "one"),
            "own": application("/x/", "two"),
            "root": application("/", "two"),
        }
    )
    assert served(made, "one") == ("every",)
    assert served(made, "two") == ("own", "root"), "the longest path_prefix first"
    assert served(made, "elsewhere") == ("every",)
    assert hosts(made) == ["*", "one", "two"]


def test_hosts_with_the_same_applications_share_a_virtual_host() -> None:
    both = application("/", "one", "two")
    (manager,) = typed(simple(applications={"app": both}), "HttpConnectionManager")
    config = manager["route_config"]
    assert [(each["name"], each["domains"]) for each in config["virtual_hosts"]] == [
        ("app", ["one", "two"]),
        (":unlisted", ["*"]),
    ]
    assert config["request_headers_to_remove"] == ["x-extproc-cookies"]


def test_routes_are_in_the_order_that_decides() -> None:
    wiki = {**APP, "path_prefix": "/wiki/", "public_paths": ["/wiki/pub/"]}
    assets = {**OPEN, "path_prefix": "/assets/"}
    made = simple(applications={"app": APP, "wiki": wiki, "assets": assets})
    names = [name for name in routes(made) if not name.startswith(":unlisted")]
    assert names[:3] == [":no-trace", ":odd-host", ":escaped-slash"] and names[-2:] == [
        ":connect",
        ":none",
    ]
    order = [
        "wiki:own",
        "app:own",
        ":dot-segments",
        "assets:slash",
        "assets",
        "wiki:slash",
        "wiki:slash:308",
        "wiki:foreign-upgrade",
        "wiki:public:/wiki/pub/",
        "wiki",
        "app:foreign-upgrade",
        "app",
    ]
    assert [name for name in names if name in order] == order
    assert "assets:own" not in names


def test_hsts_is_for_https_alone() -> None:
    assert hsts(simple(gateway={"hsts": 60})) == []
    assert hsts(simple(gateway={"url": "https://localhost"})) == []
    (header,) = hsts(simple(gateway={"url": "https://localhost", "hsts": 60}))
    assert header.header is not None and header.header.value == "max-age=60"
