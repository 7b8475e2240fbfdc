"""Applications that are open by mistake, or that share an upstream."""

from typing import Any

import pytest
from harness.envoy_config import APP, OPEN, UPSTREAM, lint_lines
from harness.envoy_parts import settings
from harness.two_applications import made, two

from extproc.settings import Settings

SAYS = [
    (two({}, {}), []),
    (
        two({}, {"acr_values": ["mfa"]}),
        [
            "applications.outer: is all of the upstream of inner, which also asks for "
            "acr_values, so its routes answer 400 to paths that this upstream, "
            "http://127.0.0.1:9600, may read as /payroll/ (another case, ;parameters, encoded "
            "characters, dots or spaces after a name, doubled slashes); give inner an upstream of "
            "its own, or set upstream_paths: exact if it reads paths as they are written"
        ],
    ),
    (two({"upstream_paths": "exact"}, {"acr_values": ["mfa"]}), []),
    (two({}, {"acr_values": ["mfa"], "hosts": ["other"], "url": "http://other/payroll/"}), []),
    (
        two({"exclude": True, "provider": None}, {}),
        [
            "applications.outer: is all of the upstream of inner without its login, so its "
            "routes answer 400 to paths that this upstream, http://127.0.0.1:9600, may read as "
            "/payroll/ (another case, ;parameters, encoded characters, dots or spaces after a "
            "name, doubled slashes); a path that this list misses reaches it without a login; "
            "give inner an upstream of its own, use its public_paths instead of outer, or set "
            "upstream_paths: exact if it reads paths as they are written"
        ],
    ),
    (
        made(app=APP, static={**OPEN, "path_prefix": "/static/", "dot_segments": "keep"}),
        [
            "applications.static.dot_segments: keeps what http://127.0.0.1:9600, the upstream of "
            "app, may read as ..: such a path may reach what app protects, without a login; "
            "remove dot_segments"
        ],
    ),
    (made(app={**APP, "dot_segments": "keep"}, static={**OPEN, "path_prefix": "/static/"}), []),
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
        made(app=APP, door={**OPEN, "hosts": ["other"]}),
        [
            "applications.door: is all of the upstream of app without its login, on another "
            "host; give it an upstream"
        ],
    ),
]


def test_warnings_about_applications_beside_each_other() -> None:
    door = {"hosts": ["other"], "exclude": True, "escaped_slashes": "keep", "upstream": UPSTREAM}
    found = lint_lines(settings(applications={"app": APP, "door": door}))
    assert [line.split(":")[0] for line in found] == ["applications.door"]
    open_ = {"hosts": ["other"], "exclude": True, "upstream": UPSTREAM}
    found = lint_lines(settings(applications={"app": APP, "door": open_}))
    assert [line[:60] for line in found] == [
        "applications.door: is all of the upstream of app without its"
    ]
    public = {**APP, "public_paths": ["/"]}
    found = lint_lines(settings(applications={"app": public}))
    assert [line.split(":")[0] for line in found] == ["applications.app.public_paths"]


@pytest.mark.parametrize(("found", "begin"), SAYS)
def test_check_explains_each_split(found: Settings, begin: list[str]) -> None:
    # Of most pairs `check` also says that they are one origin to a browser.
    lines = [line for line in lint_lines(found) if "is on localhost with" not in line]
    assert len(lines) == len(begin), lines
    assert all(line.startswith(start) for line, start in zip(lines, begin, strict=True)), lines


STAFF, ADMINS = {"allow": {"groups": ["staff"]}}, {"allow": {"groups": ["admins"]}}
RULES = {"rules": [{"name": "r", "paths": ["/x/"], "deny": True}]}
AWAY: dict[str, Any] = {"hosts": ["away.test"], "url": "http://away.test:8080/"}


@pytest.mark.parametrize(
    ("one", "other", "warned"),
    [
        ({}, STAFF, ["app.allow: leads to the upstream of away, on another host, by other allow"]),
        (STAFF, {}, ["away.allow: leads to the upstream of app, on another host, by other allow"]),
        (STAFF, ADMINS, ["app.allow: ", "away.allow: "]),
        ({}, {**STAFF, **RULES}, ["app.allow: leads to the upstream of away, on another host, by "
                                  "other allow and rules: users whom away refuses may reach"]),
        (RULES, STAFF, ["app.allow: ", "away.rules: "]),
        (STAFF, STAFF, []),
        ({**STAFF, **RULES}, {**STAFF, **RULES}, []),
        ({}, {"acr_values": ["mfa"]}, []),
        ({}, {**STAFF, "upstream": "http://127.0.0.1:9601"}, []),
        ({}, {**STAFF, "path_prefix": "/pay/", "url": "http://away.test:8080/pay/"}, ["app.allow: "]),
        ({"path_prefix": "/a/"}, {**STAFF, "path_prefix": "/b/", "url": "http://away.test:8080/b/"}, []),
        ({"hosts": ["localhost", "away.test"], "path_prefix": "/a/"}, STAFF, []),
    ],
)  # fmt: skip
def test_check_warns_of_two_hosts_that_lead_to_one_upstream_by_other_rules(
    one: dict[str, Any], other: dict[str, Any], warned: list[str]
) -> None:
    lines = [
        line
        for line in lint_lines(made(app={**APP, **one}, away={**APP, **AWAY, **other}))
        if "on another host" in line
    ]
    assert len(lines) == len(warned), lines
    for line, begin in zip(lines, warned, strict=True):
        assert line.startswith(f"applications.{begin}")


def test_check_warns_of_pages_that_send_requests_as_the_user() -> None:
    app = {**APP, "url": "https://localhost/"}
    (off,) = lint_lines(made(app={**app, "csrf": "off"}))
    assert off.startswith("applications.app.csrf: is off: pages of a neighbouring host")
    listed = ["https://portal.test", "http://portal.test"]
    (plain,) = lint_lines(made(app={**app, "allowed_origins": listed}))
    assert plain.startswith("applications.app.allowed_origins: http://portal.test is plain http")


@pytest.mark.parametrize(
    ("url", "origins", "warned"),
    [
        ("https://app.gw.test/", ["https://www.gw.test", "https://gw.test:8443"], []),
        ("https://app.gw.test/", ["http://www.gw.test"], ["origins: http://www.gw.test is plain"]),
        ("https://app.gw.test/", ["https://www.other.test"], ["credentials: pages of https://www"]),
        ("https://app.gw.test/", ["https://10.0.0.1"], ["credentials: pages of https://10.0.0.1"]),
        ("https://10.1.0.1/", ["https://10.2.0.1"], ["credentials: pages of https://10.2.0.1 are"]),
        ("https://10.1.0.1/", ["https://10.1.0.1:8443"], []),
        ("https://[::1]/", ["https://[::1]:8443"], []),
        ("http://app.gw.test/", ["http://www.gw.test"], []),
    ],
)
def test_check_warns_of_pages_that_read_as_the_user_or_cannot(
    url: str, origins: list[str], warned: list[str]
) -> None:
    app = {**APP, "hosts": ["*"], "url": url}
    cors = {"origins": origins, "credentials": True}
    lines = lint_lines(made(app={**app, "cors": cors}))
    assert len(lines) == len(warned), lines
    for line, begin in zip(lines, warned, strict=True):
        assert line.startswith(f"applications.app.cors.{begin}")
    without = {**cors, "credentials": False}
    assert lint_lines(made(app={**app, "cors": without})) == []


def test_check_warns_of_applications_that_differ_on_one_host() -> None:
    other = {**APP, "path_prefix": "/pay/", "acr_values": ["mfa"], "upstream": "http://10.0.0.1"}
    (line,) = lint_lines(made(app=APP, pay=other))
    assert line == (
        "applications.pay.hosts: is on localhost with app, which differs in acr_values: browsers "
        "keep applications of one host apart in nothing, and a service worker of one may answer "
        "for another, even after its application is gone; give each a host of its own"
    )
    assert lint_lines(made(app=APP, pay={**other, "acr_values": []})) == []
    apart = {**other, "hosts": ["pay.test"], "url": "http://pay.test:8080/pay/"}
    assert lint_lines(made(app=APP, pay=apart)) == []


def test_each_host_has_one_warning_that_names_its_applications() -> None:
    def app(name: str, host: str, **more: Any) -> dict[str, Any]:
        base = {"hosts": [host], "url": f"http://{host}:8080/{name}/", "path_prefix": f"/{name}/"}
        return {**APP, **base, "upstream": f"http://{name}.internal", **more}

    apps = {name: app(name, "a.test", acr_values=[name]) for name in ("one", "two", "three")}
    others = {"four": app("four", "b.test"), "five": app("five", "b.test", max_age=60)}
    lines = lint_lines(made(**apps, **others))
    assert len(lines) == 2, lines
    assert lines[0].startswith("applications.three.hosts: is on a.test with one, two, which differ")
    assert lines[1].startswith("applications.five.hosts: is on b.test with four, which differs in")
