"""`extproc test`: a table of requests, and what each has to come to, by the settings alone.

Exit codes: 0 every test passed; 1 a test failed; 2 nothing was tested, because the settings or the
file of tests cannot be used.
"""

import argparse
import time

from extproc.cli.output import CommandFailed, field, write, write_json
from extproc.explain.cases import MAXIMUM_FILE, Cases, CasesError, parse
from extproc.explain.table import Result
from extproc.explain.table import run as results_of
from extproc.settings import Settings
from extproc.settings.files import read_argument


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Runs the tests, prints, and returns the exit code."""
    cases = _cases(settings, parsed)
    results = list(results_of(settings, cases, int(time.time())))
    failed = [result for result in results if not result.passed]
    if parsed.json:
        write_json({"right": not failed, "tests": [_document(result) for result in results]})
    else:
        for result in failed:
            write(field(_line(result)))
        write(_summary(len(results), len(failed)))
    return 1 if failed else 0


def _cases(settings: Settings, parsed: argparse.Namespace) -> Cases:
    """The tests of the file. Ends the command if it cannot be used."""
    try:
        content = read_argument(parsed.file, MAXIMUM_FILE)
    except OSError as problem:
        raise CommandFailed(f"{parsed.file}: {problem.strerror or 'cannot be read'}") from None
    try:
        return parse(content, str(parsed.file), settings)
    except CasesError as problem:
        raise CommandFailed(str(problem)) from None


def _line(result: Result) -> str:
    """A failed test: what was expected, what it came to, and which conditions do not hold."""
    why = [*result.got.why, result.got.fault]
    reasons = "; ".join(reason for reason in why if reason)
    because = f": {reasons}" if reasons else ""
    return f"failed: {result.name}: expected {result.expected}, got {result.found}{because}"


def _summary(count: int, failed: int) -> str:
    tests = "1 test" if count == 1 else f"{count} tests"
    return f"{tests}, {failed} failed" if failed else f"OK, {tests}"


def _document(result: Result) -> dict[str, object]:
    got = result.got
    return {
        "name": result.name,
        "passed": result.passed,
        "expected": result.expected,
        "got": got.word or got.status,
        "what": got.text,
        "status": got.status,
        "rule": got.rule,
        "shadow": got.shadow,
        "identity": got.identity,
        "why": list(got.why),
        "fault": got.fault,
    }
