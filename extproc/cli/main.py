"""The command line: serve, envoy, check, explain, test, sessions, reasons, schema, demo.

Exit codes: 0 no error, 1 an error, 2 the command line itself is wrong, 130 interrupted. Of `test` 1
is a test that failed, and 2 that nothing could be tested.
"""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

from extproc.cli.arguments import parser
from extproc.cli.output import CommandFailed, fail, write, write_json
from extproc.settings import Settings, SettingsError, Source, load
from extproc.settings.files import replace_file


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and exits."""
    parsed = parser().parse_args(arguments)
    try:
        sys.exit(COMMANDS[parsed.command](parsed))
    except SettingsError as error:
        # One line for each problem, with the file's name.
        _fail(parsed, str(error).splitlines(), "settings", str(error))
    except CommandFailed as error:
        _fail(parsed, [error.reason], parsed.command, str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of standard output has ended.
        sys.exit(1)
    except Exception as error:
        if not _wants_json(parsed):
            raise
        traceback.print_exc()
        text = f"a fault of this program: {type(error).__name__}"
        _fail(parsed, [text], parsed.command, text)


def _wants_json(parsed: argparse.Namespace) -> bool:
    return bool(vars(parsed).get("json", False))


def _fail(parsed: argparse.Namespace, reasons: list[str], part: str, text: str) -> NoReturn:
    """Ends a command that failed: with a text on standard error, or with --json as a document.

    Args:
        parsed: the command line.
        reasons: what is wrong, each in a line.
        part: what the reasons are about.
        text: all of it for standard error.
    """
    code = 2 if parsed.command == "test" else 1
    if not _wants_json(parsed):
        if code == 1:
            sys.exit(text)
        sys.stderr.write(f"{text}\n")
        sys.exit(code)
    if parsed.command == "check":
        from extproc.cli.check import failed

        write_json(failed(reasons, part))
    else:
        write_json({"error": "\n".join(reasons)})
    sys.exit(code)


# Each command imports what it needs when it runs: gRPC, Envoy's messages and the stores take a
# second.


def _serve(parsed: argparse.Namespace) -> int:
    from extproc.runtime.rlimits import forbid_core_files

    forbid_core_files()
    source = Source(parsed.config, partial(with_overrides, parsed))
    settings = source.load()
    # gRPC writes lines of its own, in a format of its own, about what this program reports itself.
    # It reads this when it is imported, in the workers too.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    if settings.worker_count > 1:
        return _serve_with_workers(settings, source)
    return _serve_alone(settings, source)


def with_overrides(parsed: argparse.Namespace, settings: Settings) -> Settings:
    """The settings with what the command line overrides."""
    options = {"level": parsed.log_level, "format": parsed.log_format}
    overrides = {key: value for key, value in options.items() if value is not None}
    return settings.model_copy(update={"log": settings.log.model_copy(update=overrides)})


def _serve_with_workers(settings: Settings, source: Source) -> int:
    from extproc.runtime import supervisor
    from extproc.runtime.failures import CannotStart

    try:
        supervisor.run(settings, source)
    except CannotStart as error:
        fail(str(error))
    return 0


def _serve_alone(settings: Settings, source: Source) -> int:
    from extproc.core.errors import Refusal
    from extproc.ext_proc.credentials import CannotListen
    from extproc.runtime import single
    from extproc.runtime.failures import CannotStart

    try:
        single.run(settings, source)
    except Refusal as error:
        fail(error.detail)
    except (CannotListen, CannotStart) as error:
        fail(str(error))
    return 0


def _envoy(parsed: argparse.Namespace) -> int:
    from extproc import envoyconfig

    settings = load(parsed.config)
    text = envoyconfig.to_yaml(settings)
    _write_secret_files(settings)
    if parsed.output is None:
        write(text, end="")
        return 0
    try:
        replace_file(parsed.output, text)
    except OSError as error:
        fail(f"{parsed.output}: {error.strerror or 'cannot be written'}")
    return 0


def _write_secret_files(settings: Settings) -> None:
    """Writes what the configuration names in `gateway.sds_directory`, before Envoy looks for it."""
    from extproc import envoyconfig

    try:
        envoyconfig.write_secret_files(settings)
    except OSError as error:
        fail(
            f"gateway.sds_directory: {error.filename or settings.gateway.sds_directory}: "
            f"{error.strerror or 'cannot be written'}; name a directory that this command can "
            "write and that Envoy reads"
        )


def _check(parsed: argparse.Namespace) -> int:
    from extproc.cli import check

    return check.run(load(parsed.config), parsed)


def _health(parsed: argparse.Namespace) -> int:
    from extproc.cli import health

    return health.run(load(parsed.config), parsed)


def _explain(parsed: argparse.Namespace) -> int:
    from extproc.cli import explain

    return explain.run(load(parsed.config), parsed)


def _test(parsed: argparse.Namespace) -> int:
    from extproc.cli import test

    return test.run(load(parsed.config), parsed)


def _sessions(parsed: argparse.Namespace) -> int:
    from extproc.cli import sessions

    return sessions.run(load(parsed.config), parsed)


def _reasons(parsed: argparse.Namespace) -> int:
    from extproc.cli import reasons

    return reasons.run(parsed)


def _schema(_: argparse.Namespace) -> int:
    write_json(Settings.model_json_schema())
    return 0


def _demo(parsed: argparse.Namespace) -> int:
    from extproc import demo

    return demo.main(port=parsed.port, check=parsed.check, describe=parsed.describe)


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": _serve,
    "envoy": _envoy,
    "check": _check,
    "health": _health,
    "explain": _explain,
    "test": _test,
    "sessions": _sessions,
    "reasons": _reasons,
    "schema": _schema,
    "demo": _demo,
}
