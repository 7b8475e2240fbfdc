"""The arguments of the command line, as argparse reads them. `command` is the chosen command."""

import argparse
import platform
from collections.abc import Callable, Mapping
from pathlib import Path

from extproc.cli.output import write

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_FORMATS = ("auto", "json", "text")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    root = argparse.ArgumentParser(
        prog="extproc", description="Single sign-on for Envoy as an external processor."
    )
    root.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        help="print the versions of extproc and Python, and exit",
    )
    commands = root.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (text, add_arguments) in _COMMANDS.items():
        add_arguments(commands.add_parser(name, help=text, description=text))
    return root


class _Version(argparse.Action):
    """Prints the versions and ends the program."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        # The metrics' libraries take a while to import.
        from extproc.metrics.process import package_version

        installed = package_version("extproc-oidc")
        write(f"extproc {installed}, Python {platform.python_version()}")
        parser.exit()


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config",
        type=Path,
        default=Path("extproc.yaml"),
        metavar="FILE",
        help="the settings (default: %(default)s)",
    )


def _add_serve(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument("--log-level", choices=_LEVELS, type=str.upper, help="overrides log.level")
    command.add_argument("--log-format", choices=_FORMATS, help="overrides log.format")


def _add_envoy(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write to a file, which is replaced as a whole or left as it is",
    )


def _add_check(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument(
        "--offline", action="store_true", help="skip the checks that need the network"
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_argument(
        "--envoy-admin",
        metavar="ADDRESS",
        help="admin address of the running Envoy to check: host:port, unix:PATH or a URL "
        "(default: gateway.admin)",
    )
    command.add_argument(
        "--envoy-config",
        type=Path,
        metavar="FILE",
        help="check a file with an Envoy configuration in place of a running Envoy",
    )
    command.add_argument(
        "--login",
        nargs="?",
        const="",
        metavar="APPLICATION",
        help="begin a login as a browser would, up to the provider's page (default: the first "
        "application)",
    )
    command.add_argument(
        "--ca", type=Path, metavar="FILE", help="certificates that --login trusts in addition"
    )


def _add_health(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument(
        "--live",
        action="store_true",
        help="ask only whether it runs, whatever providers and store do: for a health check that "
        "restarts it, or that a provider behind the same Envoy waits for",
    )


def _add_explain(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument(
        "what",
        nargs="+",
        metavar="TRACE_ID|URL",
        help="a trace id, pasted in any form, or a URL or path",
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--admin",
        metavar="ADDRESS",
        help="the processor's admin address: host:port, unix:PATH or a URL (default: admin)",
    )
    where.add_argument(
        "--jaeger", metavar="URL", help="Jaeger's query address, in place of the processor's admin"
    )
    command.add_argument("--method", default="GET", help="of the request (default: %(default)s)")
    command.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="of the request; can be repeated",
    )
    command.add_argument(
        "--cookie",
        action="append",
        default=[],
        metavar="NAME=VALUE|@FILE",
        help="of the request; can be repeated",
    )
    command.add_argument(
        "--bearer",
        metavar="FILE|-",
        help="an access token of the request, in a file or on standard input",
    )


def _add_test(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="requests, users and what is expected, in YAML (docs/tools.md)",
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")


def _add_reasons(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "reason",
        nargs="?",
        metavar="REASON",
        help="a code, such as state_mismatch (default: all)",
    )


def _add_sessions(command: argparse.ArgumentParser) -> None:
    _add_config(command)
    command.add_argument("what", choices=("list", "show", "end"))
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", help="one session, by the first column of `list`")
    which.add_argument("--user", metavar="SUB", help="all of a user (the provider's sub)")
    which.add_argument("--sid", help="all of one session at the provider")
    which.add_argument("--all", action="store_true", help="all of all users")
    command.add_argument("--json", action="store_true", help="print one JSON document")


def _add_demo(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--port", type=int, metavar="N", help="the gateway's port (default: 8080, or a free one)"
    )
    command.add_argument(
        "--check",
        action="store_true",
        help="do one login as a browser would, print each step, and end",
    )
    command.add_argument(
        "--describe",
        type=Path,
        metavar="FILE",
        help="write the addresses and process ids to a JSON file when all parts are up",
    )


def _add_nothing(_: argparse.ArgumentParser) -> None:
    """For a command without arguments."""


# In the order of the help: what each command does, and what adds its arguments.
_COMMANDS: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "serve": ("run the processor", _add_serve),
    "envoy": ("print the Envoy configuration for the settings", _add_envoy),
    "check": (
        "check the settings, the providers, the store, the processor and Envoy, and print each "
        "problem with its remedy",
        _add_check,
    ),
    "health": (
        "ask the processor on this machine whether it is ready, and print what is missing",
        _add_health,
    ),
    "sessions": ("list, show or end sessions of the processor on this machine", _add_sessions),
    "reasons": ("print what reason codes mean and what to do about them", _add_reasons),
    "explain": (
        "print what happened in a login, by a trace id, or how a request would be handled, by its "
        "URL",
        _add_explain,
    ),
    "test": (
        "say for each request of a file whether it comes to what the file expects, by the settings "
        "alone: for CI",
        _add_test,
    ),
    "schema": ("print the JSON schema of the settings", _add_nothing),
    "demo": (
        "run the whole stack on loopback: Envoy, the processor, a provider and an application",
        _add_demo,
    ),
}
