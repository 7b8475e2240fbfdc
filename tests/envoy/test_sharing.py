"""Which applications share an upstream and ask different things, what `extproc check` says of them,
and what the patterns match.
"""

import re
from typing import Any

import pytest
from harness.envoy_parts import lint_lines, settings

from extproc.envoyconfig.sharing import Overlap, demands, overlap
from extproc.envoyconfig.spellings import dot_segments, pieces, readings
from extproc.explain.request import SampleRequest, explain
from extproc.explain.session import find
from extproc.settings import Settings

UP = {"upstream": "http://127.0.0.1:8081"}
APP: dict[str, Any] = {"hosts": ["localhost"], "provider": "main", **UP}
DOOR: dict[str, Any] = {"hosts": ["localhost"], "exclude": True, **UP}


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


SAYS = [
    (two({}, {}), []),
    (
        two({}, {"acr_values": ["mfa"]}),
        [
            "applications.outer: is all of the upstream of inner, which also asks for "
            "acr_values, so whatever that upstream, "
            "http://127.0.0.1:8081, may read as /payroll/ is 400 on its routes (another "
            "case, ;parameters, encoded, dots or blanks behind "
            "a name, doubled slashes); give inner an upstream of its own, or set "
            "upstream_paths: exact where it reads paths as they are written"
        ],
    ),
    (two({"upstream_paths": "exact"}, {"acr_values": ["mfa"]}), []),
    (two({}, {"acr_values": ["mfa"], "hosts": ["other"], "url": "http://other/payroll/"}), []),
    (
        two({"exclude": True, "provider": None}, {}),
        [
            "applications.outer: is all of the upstream of inner without its login, so "
            "whatever that upstream, http://127.0.0.1:8081, may "
            "read as /payroll/ is 400 on its routes (another case, ;parameters, encoded, "
            "dots or blanks behind a name, doubled slashes), "
            "and the split is as good as that list; give inner an upstream of its own, say "
            "its public_paths instead of outer, or set "
            "upstream_paths: exact where it reads paths as they are written"
        ],
    ),
    (
        made(app=APP, static={**DOOR, "path_prefix": "/static/", "dot_segments": "keep"}),
        [
            "applications.static.dot_segments: keeps what the upstream of app, "
            "http://127.0.0.1:8081, may read as ..: such a path may "
            "reach what app protects, without a login; leave dot_segments out"
        ],
    ),
    (made(app={**APP, "dot_segments": "keep"}, static={**DOOR, "path_prefix": "/static/"}), []),
    (
        made(
            app={**APP, "path_prefix": "/App/"},
            other={**APP, "path_prefix": "/app/", "provider": "other"},
        ),
        [
            "applications.app.path_prefix: an upstream that folds reads /App/ as /app/ of "
            "other, which also asks for the provider other",
            "applications.other.path_prefix: an upstream that folds reads /app/ as /App/ of "
            "app, which also asks for the provider main",
        ],
    ),
    (
        made(app=APP, door={**DOOR, "hosts": ["other"]}),
        [
            "applications.door: is all of the upstream of app without its login, on another "
            "host; give it an upstream"
        ],
    ),
]


@pytest.mark.parametrize(("found", "begin"), SAYS)
def test_check_explains_each_split(found: Settings, begin: list[str]) -> None:
    lines = lint_lines(found, descriptors=100_000)
    assert len(lines) == len(begin), lines
    assert all(line.startswith(start) for line, start in zip(lines, begin, strict=True)), lines


@pytest.mark.parametrize("pattern", [dot_segments, lambda prefix: readings(prefix, ["a"]), pieces])
def test_patterns_stay_below_their_prefix(pattern: Any) -> None:
    for path in ("/ab/..;/x", "/a.b/..;/x", "/", "/ab/A/x", "/x/a.b/%25%2532%2565"):
        assert not re.fullmatch(pattern("/a.b/"), path.replace("a.b", "axb")), path


def test_patterns_match_what_they_say() -> None:
    for function, pattern in (
        (dot_segments, dot_segments("/")),
        (readings, readings("/", ["payroll"])),
    ):
        _, yes, no = re.split(r"\b(?:yes|no): ", function.__doc__ or "", flags=re.I)
        for path in yes.split():
            assert re.fullmatch(pattern, path), path
        for path in no.split():
            assert not re.fullmatch(pattern, path), path


@pytest.mark.parametrize(
    ("path", "route", "says"),
    [
        ("/%2e%2e;/x", "dot-segments", "applications.NAME.dot_segments: keep lets it through"),
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
        for each in explain(two({}, {}), SampleRequest("GET", "http://localhost:8080/a/..;/x", ()), find)
    ]
    assert any("Envoy 1.40 resolves ..; like" in step for step in steps)


def test_prefixes_have_no_dot_segments() -> None:
    for prefix in ("/../", "/a/./"):
        with pytest.raises(ValueError, match="path_prefix begins and ends with /"):
            made(app={**APP, "path_prefix": prefix})
