"""`extproc test`: which lines it prints, its document, and its exit codes."""

import json
import textwrap
from pathlib import Path

import pytest
import yaml

from extproc.cli.main import main
from extproc.core.access_rules import METHODS

RULES = [
    {"name": "admin", "paths": ["/admin/"], "allow": {"groups": ["admins"]}},
    {"name": "read", "paths": ["/api/"], "methods": ["GET"]},
]
USERS = {"alice": {"sub": "alice", "groups": ["admins"]}, "bob": {"sub": "bob"}}
RIGHT = {"url": "/admin/", "user": "alice", "expect": "allow", "rule": "admin"}
WRONG = {"name": "bob is no admin\n1 test", "url": "/admin/", "user": "bob", "expect": "allow"}


@pytest.fixture
def table(run, config, tmp_path):
    """table(TEST, ...): the exit code of these tests, and everything that is printed."""
    settings = yaml.safe_load(config.read_text())
    settings["applications"]["app"]["rules"] = RULES
    config.write_text(yaml.safe_dump(settings))

    def command(*tests, arguments=()):
        path = tmp_path / "tests.yaml"
        path.write_text(yaml.safe_dump({"users": USERS, "tests": list(tests)}))
        return run("test", "--config", str(config), str(path), *arguments)

    return command


def test_what_passes_is_one_line(table):
    assert table(RIGHT) == (0, "OK, 1 test\n")
    assert table(RIGHT, RIGHT) == (0, "OK, 2 tests\n")


def test_a_failed_test_is_one_line_with_the_condition_and_cannot_forge_another(table):
    code, printed = table(WRONG, RIGHT)
    first, last = printed.splitlines()
    assert code == 1 and last == "2 tests, 1 failed"
    assert first == (
        "failed: bob is no admin\N{REPLACEMENT CHARACTER}1 test: expected allow, got 403 "
        "not_allowed by the rule admin: rules.admin.allow.groups does not hold (admins)"
    )


def test_the_document_has_every_test(table):
    code, printed = table(RIGHT, WRONG, arguments=("--json",))
    document = json.loads(printed)
    right, wrong = document["tests"]
    assert code == 1 and document["right"] is False
    assert (right["passed"], right["got"], right["rule"], right["why"]) == (
        True,
        "allow",
        "admin",
        [],
    )
    assert wrong == {
        "name": WRONG["name"],
        "passed": False,
        "expected": "allow",
        "got": 403,
        "what": "403 not_allowed",
        "status": 403,
        "rule": "admin",
        "shadow": "",
        "identity": False,
        "why": ["rules.admin.allow.groups does not hold (admins)"],
        "fault": "",
    }
    assert json.loads(table(RIGHT, arguments=("--json",))[1])["right"] is True


def test_a_method_is_refused_by_its_rule(table):
    others = [method for method in METHODS if method not in ("GET", "HEAD")]
    tests = [{"url": "/api/", "method": each, "expect": 405} for each in others]
    assert table(*tests)[0] == 0


def exit_code(*arguments):
    """The exit code as the shell sees it."""
    with pytest.raises(SystemExit) as done:
        main(list(arguments))
    return done.value.code


@pytest.mark.parametrize("as_json", [False, True])
def test_what_cannot_be_tested_is_exit_code_2_with_the_key(config, tmp_path, capsys, as_json):
    more = ["--json"] if as_json else []
    bad = tmp_path / "bad.yaml"
    bad.write_text("tests: [{url: /, expect: never}]")
    gone = tmp_path / "gone.yaml"
    for arguments, text in (
        (("--config", str(config), str(bad)), f"{bad}: tests[0].expect: is allow, login, step_up"),
        (("--config", str(config), str(gone)), f"{gone}: No such file or directory"),
        (("--config", str(gone), str(bad)), f"{gone}: No such file or directory"),
    ):
        assert exit_code("test", *arguments, *more) == 2
        printed = capsys.readouterr()
        said = json.loads(printed.out)["error"] if as_json else printed.err
        assert text in said


def test_the_example_of_the_documentation_does_what_it_shows(run, config, tmp_path):
    text = (Path(__file__).parents[3] / "docs/tools.md").read_text().partition("## test")[2]
    shown = "".join(text.partition("access.test.yaml\n")[2].splitlines(True)[:2])
    example = text.partition("`access.test.yaml` is\n")[2].partition("\n| ")[0]
    settings = yaml.safe_load(config.read_text())
    app = settings["applications"]["app"]
    app["hosts"] = ["app.example.com"]
    app["rules"] = [
        *(dict(rule) for rule in RULES),
        {"name": "hooks", "paths": ["/hooks/"], "login": "none", "networks": ["10.0.0.0/8"]},
    ]
    app["rules"][1] |= {"name": "api", "accept": ["bearer"], "allow": {"scopes": ["orders:read"]}}
    settings["gateway"]["url"] = "https://app.example.com"
    config.write_text(yaml.safe_dump(settings))
    path = tmp_path / "access.test.yaml"
    path.write_text(textwrap.dedent(example))
    code, printed = run("test", "--config", str(config), str(path))
    assert (code, printed) == (1, textwrap.dedent(shown))


def test_a_test_with_an_access_token_passes_or_names_the_condition(run, config, tmp_path):
    settings = yaml.safe_load(config.read_text())
    settings["applications"]["app"]["rules"] = [
        {"name": "api", "paths": ["/api/"], "accept": ["bearer"], "allow": {"scopes": ["read"]}}
    ]
    config.write_text(yaml.safe_dump(settings))
    path = tmp_path / "tests.yaml"
    tokens = {"reader": {"sub": "m", "scope": "read"}, "CANARY": {"sub": "m", "scope": "write"}}
    tests = [{"url": "/api/", "token": name, "expect": "allow"} for name in tokens]
    path.write_text(yaml.safe_dump({"tokens": tokens, "tests": tests}))
    assert run("test", "--config", str(config), str(path)) == (
        1,
        "failed: 2, GET /api/: expected allow, got 403 insufficient_scope by the rule api: "
        "rules.api.allow.scopes does not hold (read)\n2 tests, 1 failed\n",
    )
