"""`extproc check`: what is printed, and the exit code."""

import json

import pytest

from extproc.checks.findings import error, ok, skipped, warning
from extproc.cli.check import CheckReport
from extproc.cli.main import main

OK = ok("store", "it answers")
WARNING = warning("store", "it is slow", "move it")
ERROR = error("secret", "it is short", "make a longer one")
SKIPPED = skipped("running Envoy", "its configuration", "name it")


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
        ((OK, SKIPPED), "OK, 1 part not looked at"),
        ((ERROR, WARNING, SKIPPED, SKIPPED), "1 error, 1 warning, 2 parts not looked at"),
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


def test_errors_come_last_and_what_was_not_looked_at_is_said(capsys):
    CheckReport(quiet=False).add_sorted((ERROR, WARNING, OK, SKIPPED))
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in printed] == [
        "ok",
        "not looked at",
        "warning",
        "error",
    ]


def test_what_another_program_said_does_not_reach_the_terminal_as_it_is(capsys):
    CheckReport(quiet=False).add_all((warning("x", "said \x1b]0;owned\x07", "look"),))
    assert "\x1b" not in capsys.readouterr().out


def test_no_finding_can_forge_another_s_line(capsys):
    """A provider chooses values of its metadata, which a finding quotes."""
    forged = "x\nok: gate: all is right"
    CheckReport(quiet=False).add_all((warning(forged, forged, forged),))
    assert len(capsys.readouterr().out.splitlines()) == 1


def interrupted(problem):
    yield OK
    yield ERROR
    yield WARNING
    raise problem


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), ZeroDivisionError()])
def test_what_was_found_before_an_interruption_or_a_fault_is_printed(capsys, problem):
    with pytest.raises(type(problem)):
        CheckReport(quiet=False).add_sorted(interrupted(problem))
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in printed] == ["ok", "warning", "error"]


@pytest.mark.parametrize(
    ("problem", "code", "what"),
    [
        (KeyboardInterrupt(), 130, "was interrupted before its end"),
        (ZeroDivisionError(), 1, "a fault of this program: ZeroDivisionError"),
    ],
)
def test_as_json_what_was_found_before_is_kept(capsys, monkeypatch, config, problem, code, what):
    found = (OK, WARNING)

    def look(*_):
        yield from found
        raise problem

    monkeypatch.setattr("extproc.cli.check.check", look)
    with pytest.raises(SystemExit) as done:
        main(["check", "--json", "--config", str(config)])
    document = json.loads(capsys.readouterr().out)
    assert (done.value.code, document["right"]) == (code, False)
    assert [each["what"] for each in document["findings"]] == [*(f.what for f in found), what]


def test_offline_does_not_say_that_what_it_left_out_is_right(run, config):
    code, printed = run("check", "--offline", "--config", str(config))
    assert code == 0 and printed.splitlines()[-1].endswith("5 parts not looked at")
    for part in ("providers.main", "applications", "admin", "running Envoy"):
        assert f"not looked at: {part}: " in printed
    document = json.loads(run("check", "--offline", "--json", "--config", str(config))[1])
    assert [each["part"] for each in document["not_looked_at"]] == [
        "providers.main",
        "applications",
        "admin",
        "gateway.listen",
        "running Envoy",
    ]
    assert {each["level"] for each in document["findings"]} <= {"ok", "warning"}


def test_without_an_admin_address_it_says_that_no_running_envoy_was_looked_at(run, config):
    _, printed = run("check", "--config", str(config))
    assert "not looked at: running Envoy: " in printed and "--envoy-admin" in printed
    assert "not looked at: gateway.listen: nothing listens at " in printed
    assert printed.splitlines()[-1].endswith(", 2 parts not looked at")


@pytest.mark.parametrize("wrong", ["secret: short", "a: [", "", "nothing: here"])
def test_with_json_wrong_settings_are_a_document_too(run, tmp_path, wrong):
    path = tmp_path / "wrong.yaml"
    path.write_text(wrong)
    code, printed = run("check", "--json", "--config", str(path))
    document = json.loads(printed)
    assert code == 1 and document["right"] is False
    assert {(each["level"], each["part"]) for each in document["findings"]} == {
        ("error", "settings")
    }
    code, printed = run("sessions", "list", "--all", "--json", "--config", str(path))
    assert code == 1 and json.loads(printed)["error"]


def test_with_json_a_file_or_an_application_that_is_missing_is_a_document_too(run, config):
    code, printed = run("check", "--json", "--config", "/nowhere/extproc.yaml")
    assert code == 1 and "No such file" in json.loads(printed)["findings"][0]["what"]
    code, printed = run("check", "--json", "--login", "gone", "--config", str(config))
    assert code == 1 and "no application 'gone'" in json.loads(printed)["findings"][0]["what"]


def test_an_application_that_is_down_is_named(run, config):
    """Its upstream is a port at which nothing listens."""
    _, printed = run("check", "--config", str(config))
    assert "warning: applications.app.upstream: http://127.0.0.1:9 cannot be connected" in printed


def test_offline_names_what_to_register_and_finds_no_error(run, config):
    code, printed = run("check", "--offline", "--config", str(config))
    assert code == 0 and "http://localhost:8080/oauth2/callback" in printed
    assert printed.splitlines()[-1].startswith("OK")


def test_as_json_it_is_one_document_and_nothing_else(run, config):
    code, printed = run("check", "--offline", "--json", "--config", str(config))
    document = json.loads(printed)
    assert code == 0 and document["right"] and document["findings"]
    assert any("oauth2/callback" in line for line in document["register"])
    # An address is all that follows its name: programs read it.
    assert {len(line.split()) for line in document["register"] if "_uri" in line} == {2}


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
