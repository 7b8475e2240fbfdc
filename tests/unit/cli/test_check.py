"""`extproc check`: what is printed, and the exit code."""

import json

import pytest

from extproc.checks.findings import error, ok, warning
from extproc.cli.check import CheckReport

OK = ok("store", "it answers")
WARNING = warning("store", "it is slow", "move it")
ERROR = error("secret", "it is short", "make a longer one")


def report(*results):
    made = CheckReport(quiet=True)
    made.add_all(results)
    return made


@pytest.mark.parametrize(
    ("results", "summary"),
    [
        ((), "OK"),
        ((OK, OK), "OK"),
        ((OK, WARNING), "OK, 1 warning"),
        ((WARNING, WARNING), "OK, 2 warnings"),
        ((ERROR, OK), "1 error"),
        ((ERROR, WARNING, ERROR), "2 errors, 1 warning"),
    ],
)
def test_the_last_line_counts_errors_and_warnings(results, summary):
    assert report(*results).summary() == summary


def test_each_finding_is_a_line_with_its_remedy(capsys):
    CheckReport(quiet=False).add_all((OK, ERROR))
    assert capsys.readouterr().out.splitlines() == [
        "ok: store: it answers",
        "error: secret: it is short → make a longer one",
    ]


def test_offline_names_what_to_register_and_finds_no_error(run, config):
    code, printed = run("check", "--offline", "--config", str(config))
    assert code == 0 and "http://localhost:8080/oauth2/callback" in printed
    assert printed.splitlines()[-1].startswith("OK")


def test_as_json_it_is_one_document_and_nothing_else(run, config):
    code, printed = run("check", "--offline", "--json", "--config", str(config))
    document = json.loads(printed)
    assert code == 0 and document["right"] and document["findings"]
    assert any("oauth2/callback" in line for line in document["register"])


def test_an_error_is_exit_code_1(run, config, tmp_path):
    edited = tmp_path / "envoy.yaml"
    edited.write_text("static_resources: {listeners: []}")
    code, printed = run(
        "check", "--offline", "--envoy-config", str(edited), "--config", str(config)
    )
    assert code == 1 and "error" in printed.splitlines()[-1]


def test_a_login_of_an_application_that_does_not_exist_names_those_that_do(run, config):
    assert run("check", "--login", "gone", "--config", str(config)) == (
        1,
        "extproc: no application 'gone' with a login; there are: app",
    )
