"""The command line: serve, envoy, check, explain, sessions, reasons, schema, demo. The only place
that reads settings and prints.

Exit codes: 0 all right, 1 something is wrong with what was asked for, 2 the command line itself.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from extproc.settings import Settings, SettingsError, Source, load


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits."""
    parsed = _parser().parse_args(arguments)
    try:
        sys.exit(parsed.run(parsed))
    except SettingsError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="extproc", description="Single sign-on for Envoy as an external processor."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, text in (
        ("serve", _serve, "run the processor"),
        ("envoy", _envoy, "print the Envoy configuration for the settings"),
        (
            "check",
            _check,
            "say what is wrong, and what to do about it: settings, providers, store, "
            "processor, Envoy",
        ),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument(
            "--config",
            type=Path,
            default=Path("extproc.yaml"),
            metavar="FILE",
            help="the settings (default: %(default)s)",
        )
        command.set_defaults(run=run)
        if run is _envoy:
            command.add_argument(
                "--output", type=Path, metavar="FILE", help="write it there, whole or not at all"
            )
        if run is _serve:
            _add_serve(command)
        if run is _check:
            _add_check(command)
    _add_sessions(
        commands.add_parser(
            "sessions", help="list, show or end sessions, on the machine of a running processor"
        )
    )
    reasons = commands.add_parser(
        "reasons", help="print what reason codes mean and what to do about them"
    )
    reasons.add_argument(
        "reason",
        nargs="?",
        metavar="REASON",
        help="one of them, such as state_mismatch (default: all)",
    )
    reasons.set_defaults(run=_reasons)
    _add_explain(
        commands.add_parser(
            "explain", help="tell the story of a trace, or what would become of a request"
        )
    )
    schema = commands.add_parser("schema", help="print the JSON schema of the settings")
    schema.set_defaults(run=_schema)
    _add_demo(
        commands.add_parser(
            "demo",
            help="run the whole stack on loopback: Envoy, the processor, a provider and an "
            "application",
        )
    )
    return parser


def _add_serve(command: argparse.ArgumentParser) -> None:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    command.add_argument(
        "--log-level", choices=levels, type=str.upper, help="in place of log.level"
    )
    command.add_argument(
        "--log-format", choices=("auto", "json", "text"), help="in place of log.format"
    )


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
        help="write the addresses and process ids to a JSON file once all is up",
    )
    command.set_defaults(run=_demo)


def _add_check(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--offline", action="store_true", help="leave out whatever needs the network"
    )
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.add_argument(
        "--envoy-admin",
        metavar="URL",
        help="compare a running Envoy, by its admin address (default: gateway.admin)",
    )
    command.add_argument(
        "--envoy-config",
        type=Path,
        metavar="FILE",
        help="compare a file with Envoy's configuration",
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
        "--ca", type=Path, metavar="FILE", help="what --login verifies certificates with as well"
    )


def _add_explain(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "what",
        nargs="+",
        metavar="TRACE_ID|URL",
        help="a trace id as it was pasted, or a URL or path",
    )
    command.add_argument(
        "--config", type=Path, default=Path("extproc.yaml"), metavar="FILE", help="the settings"
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--admin", metavar="URL", help="the processor's admin address (default: admin)"
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
        help="of the request; repeat",
    )
    command.add_argument(
        "--cookie",
        action="append",
        default=[],
        metavar="NAME=VALUE|@FILE",
        help="of the request; repeat",
    )
    command.set_defaults(run=_explain)


def _add_sessions(command: argparse.ArgumentParser) -> None:
    command.add_argument("what", choices=("list", "show", "end"))
    command.add_argument(
        "--config", type=Path, default=Path("extproc.yaml"), metavar="FILE", help="the settings"
    )
    which = command.add_mutually_exclusive_group(required=True)
    which.add_argument("id", nargs="?", help="one session, by what `list` begins its line with")
    which.add_argument("--user", metavar="SUB", help="all of this user (the provider's sub)")
    which.add_argument("--sid", help="those of a session at the provider")
    which.add_argument("--all", action="store_true", help="everybody's")
    command.add_argument("--json", action="store_true", help="all that is known, for programs")
    command.set_defaults(run=_sessions)


def _sessions(parsed: argparse.Namespace) -> int:
    from extproc.cli import sessions

    return sessions.run(load(parsed.config), parsed)


def _reasons(parsed: argparse.Namespace) -> int:
    from extproc.cli import reasons as reasons_command

    return reasons_command.run(parsed)


def _explain(parsed: argparse.Namespace) -> int:
    from extproc.cli import explain

    return explain.run(load(parsed.config), parsed)


def _serve(parsed: argparse.Namespace) -> int:
    from extproc.runtime.rlimits import forbid_core_files

    forbid_core_files()
    source = Source(parsed.config, partial(_over, parsed))
    settings = source.load()
    return (
        _serve_several(settings, source)
        if settings.worker_count > 1
        else _serve_alone(settings, source)
    )


def _over(parsed: argparse.Namespace, settings: Settings) -> Settings:
    """What the command line says over the settings."""
    said = {"level": parsed.log_level, "format": parsed.log_format}
    log = settings.log.model_copy(
        update={key: value for key, value in said.items() if value is not None}
    )
    return settings.model_copy(update={"log": log})


def _serve_several(settings: Settings, source: Source) -> int:
    from extproc.runtime import supervisor

    try:
        supervisor.run(settings, source)
    except supervisor.CannotStart as error:
        sys.exit(f"extproc: {error}")
    return 0


def _serve_alone(settings: Settings, source: Source) -> int:
    from extproc.core.errors import Refusal
    from extproc.runtime import single

    try:
        single.run(settings, source)
    except Refusal as error:
        sys.exit(f"extproc: {error.detail}")
    except single.CannotListen as error:
        sys.exit(f"extproc: {error}")
    return 0


def _envoy(parsed: argparse.Namespace) -> int:
    from extproc import envoyconfig

    text = envoyconfig.to_yaml(load(parsed.config))
    if parsed.output is None:
        print(text, end="")
        return 0
    try:
        _write_whole(parsed.output, text)
    except OSError as error:
        sys.exit(f"extproc: {parsed.output}: {error.strerror or 'cannot be written'}")
    return 0


def _write_whole(path: Path, text: str) -> None:
    """Whoever reads the file sees the old one or the new one. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.replace(path)


def _check(parsed: argparse.Namespace) -> int:
    from extproc.cli import check

    return check.run(load(parsed.config), parsed)


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(Settings.model_json_schema(), indent=2))
    return 0


def _demo(parsed: argparse.Namespace) -> int:
    from extproc import demo

    return demo.main(port=parsed.port, check=parsed.check, describe=parsed.describe)
