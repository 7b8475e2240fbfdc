"""The command line: which command runs, and with which exit code it ends."""

import json
import os
import re
from functools import partial

import pytest

from extproc.cli.arguments import parser
from extproc.cli.main import COMMANDS, with_overrides
from extproc.settings import Source


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], ("WARNING", "text")),
        (["--log-level", "debug"], ("DEBUG", "text")),
        (["--log-format", "json", "--log-level", "ERROR"], ("ERROR", "json")),
    ],
)
def test_the_command_line_says_over_the_settings_how_serve_logs(config, arguments, wanted):
    parsed = parser().parse_args(["serve", "--config", str(config), *arguments])
    log = Source(parsed.config, partial(with_overrides, parsed)).load().log
    assert (log.level, log.format) == wanted


@pytest.mark.parametrize("command", ["serve", "envoy", "check"])
def test_settings_that_cannot_be_read_are_one_line_and_exit_code_1(run, tmp_path, command):
    gone = str(tmp_path / "gone.yaml")
    code, printed = run(command, "--config", gone)
    assert code == 1 and printed.startswith(f"{gone}: No such file or directory; --config names")


def test_envoy_s_configuration_is_printed_or_written_to_a_file(run, config, tmp_path):
    code, printed = run("envoy", "--config", str(config))
    assert code == 0 and "static_resources" in printed
    written = tmp_path / "envoy.yaml"
    written.write_text("old")
    assert run("envoy", "--config", str(config), "--output", str(written)) == (0, "")
    assert written.read_text() == printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["envoy.yaml", "extproc.yaml"]


def test_a_file_that_cannot_be_written_is_named(run, config, tmp_path):
    gone = tmp_path / "gone" / "envoy.yaml"
    code, printed = run("envoy", "--config", str(config), "--output", str(gone))
    assert (code, printed) == (1, f"extproc: {gone}: No such file or directory")


def test_a_pipe_is_not_replaced_by_a_file(run, config, tmp_path):
    os.mkfifo(pipe := tmp_path / "pipe")
    code, printed = run("envoy", "--config", str(config), "--output", str(pipe))
    assert (code, printed) == (1, f"extproc: {pipe}: is not a regular file")
    assert pipe.is_fifo()


def test_the_schema_is_one_json_document(run):
    code, printed = run("schema")
    assert code == 0 and "providers" in json.loads(printed)["properties"]


def test_without_a_command_the_exit_code_is_2_and_the_commands_are_named(run):
    code, printed = run()
    assert code == 2 and "COMMAND" in printed


def test_the_version_is_printed_without_a_command(run):
    code, printed = run("--version")
    assert code == 0
    assert re.fullmatch(r"extproc \S.*, Python 3\.\d+\.\d+\S*\n", printed)


def test_each_command_of_the_help_can_be_run(run):
    code, printed = run("--help")
    assert code == 0 and all(f"\n    {command}" in printed for command in COMMANDS)
