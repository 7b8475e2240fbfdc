"""What would become of a request."""

from typing import Any

import pytest
from harness.envoy_parts import settings

from extproc.explain.request import SampleRequest, explain
from extproc.explain.session import find
from extproc.settings import Settings

UP = {"upstream": "http://127.0.0.1:8081"}


APP: dict[str, Any] = {"hosts": ["localhost"], "provider": "main", **UP}


def made(**applications: dict[str, Any]) -> Settings:
    providers = {
        name: {"issuer": f"https://{name}.example", "client_id": "gateway"}
        for name in ("main", "other")
    }
    return settings(applications=applications, providers=providers)


def two(outer: dict[str, Any], inner: dict[str, Any], path_prefix: str = "/payroll/") -> Settings:
    """An application around another."""
    return made(outer={**APP, **outer}, inner={**APP, "path_prefix": path_prefix, **inner})


@pytest.mark.parametrize(
    ("path", "route", "says"),
    [
        ("/%2e%2e;/x", ":dot-segments", "applications.NAME.dot_segments: keep lets it through"),
        ("/PAYROLL;x/y", "outer:reads-as:inner", "set applications.outer.upstream_paths: exact"),
        ("/payrolls/x", "outer", ""),
    ],
)
def test_explain_names_the_rule_and_the_setting(path: str, route: str, says: str) -> None:
    steps = list(
        explain(
            two({"exclude": True, "provider": None}, {}),
            SampleRequest("GET", f"http://localhost:8080{path}", ()),
            find,
        )
    )
    assert steps[-2].what.endswith(f"the path the route {route}"), steps
    assert (
        steps[-1].verdict and says in steps[-1].remedy and bool(steps[-1].remedy) == bool(says)
    ), steps
    assert steps[-1].what.startswith(
        "Envoy itself answers 400" if says else "forwarded to http://127.0.0.1:8081"
    )


def test_explain_says_that_envoys_differ() -> None:
    steps = [
        each.what
        for each in explain(
            two({}, {}), SampleRequest("GET", "http://localhost:8080/a/..;/x", ()), find
        )
    ]
    assert any("Envoy 1.40 resolves ..; like" in step for step in steps)
