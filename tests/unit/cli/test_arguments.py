"""The arguments of the command line."""

from pathlib import Path

import pytest

from extproc.cli.arguments import parser


def parsed(*arguments):
    return parser().parse_args(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("envoy",),
        ("check",),
        ("health",),
        ("explain", "/"),
        ("sessions", "list", "--all"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_each_command_that_reads_settings_finds_them_in_the_same_place(arguments):
    assert parsed(*arguments).config == Path("extproc.yaml")
    assert parsed(*arguments, "--config", "other.yaml").config == Path("other.yaml")


def test_login_may_name_an_application():
    assert parsed("check").login is None
    assert parsed("check", "--login").login == ""
    assert parsed("check", "--login", "wiki").login == "wiki"


@pytest.mark.parametrize(
    "arguments",
    [
        ("sessions", "end"),
        ("sessions", "end", "--all", "--user", "alice"),
        ("sessions", "forget", "--all"),
        ("explain",),
        ("explain", "--admin", "a", "--jaeger", "b", "/"),
        ("serve", "--log-level", "loud"),
    ],
    ids=" ".join,
)
def test_arguments_that_contradict_each_other_or_are_missing_are_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        parsed(*arguments)
    assert refused.value.code == 2 and "usage: extproc" in capsys.readouterr().err
