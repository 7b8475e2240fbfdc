"""`extproc check`: looks at everything that a login needs, and prints each problem with its remedy.

Exit codes: 0 no error was found, but perhaps warnings; 1 an error was found, or the settings cannot
be used.
"""

import argparse
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from extproc.checks import Finding, Scope, check, registration
from extproc.checks.browser import Hop
from extproc.checks.findings import WORDS, Level, counted, error
from extproc.checks.login import walk
from extproc.cli.output import Color, colored, fail, field, write, write_json
from extproc.settings import Settings

# Printed after what is right, in this order.
_LATER: tuple[Level, ...] = ("skipped", "warning", "error")
_COLORS: Mapping[Level, Color] = {
    "ok": "green",
    "skipped": "cyan",
    "warning": "yellow",
    "error": "red",
}


def failed(reasons: Iterable[str], part: str) -> dict[str, object]:
    """What --json prints where nothing could be checked, such as with settings that are wrong."""
    return {
        "right": False,
        "findings": [asdict(error(part, reason, "")) for reason in reasons],
        "not_looked_at": [],
    }


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Checks, prints, and returns the exit code."""
    report = CheckReport(quiet=parsed.json)
    if parsed.json:
        _run_for_json(settings, parsed, report)
    else:
        _look(settings, parsed, report)
        write(report.summary())
    return 1 if report.count("error") else 0


def _look(settings: Settings, parsed: argparse.Namespace, report: "CheckReport") -> None:
    """Adds all that is found to the report, and prints it."""
    if parsed.login is not None:
        application = _application(settings, parsed.login)
        report.add_all(walk(settings, application, parsed.ca))
        return
    for line in registration(settings):
        report.write(line)
    scope = Scope(parsed.offline, parsed.envoy_admin, parsed.envoy_config)
    report.add_sorted(check(settings, scope))


def _run_for_json(settings: Settings, parsed: argparse.Namespace, report: "CheckReport") -> None:
    """Prints one document: what was found, and an error if the check did not come to its end."""
    login = parsed.login is not None
    try:
        _look(settings, parsed, report)
    except KeyboardInterrupt:
        report.add_all((error("check", "was interrupted before its end", "run it again"),))
        write_json(report.document(settings, login=login))
        raise
    except Exception as problem:
        traceback.print_exc()
        what = f"a fault of this program: {type(problem).__name__}"
        report.add_all((error("check", what, "report it, with the traceback"),))
    write_json(report.document(settings, login=login))


def _application(settings: Settings, name: str) -> str:
    """The application of that name, or the first one. Ends the command if there is none."""
    if not settings.protected:
        fail("there is no application with a login in the settings")
    if name and name not in settings.protected:
        known = ", ".join(settings.protected)
        fail(f"no application {name[:80]!r} with a login; there are: {known}")
    return name or settings.protected[0]


class CheckReport:
    """The findings of one check, and for a login its requests (hops), printed as they are found."""

    def __init__(self, *, quiet: bool) -> None:
        """quiet: print nothing."""
        self._quiet = quiet
        self._findings: list[Finding] = []
        self._hops: list[Hop] = []

    def write(self, line: str) -> None:
        """Prints a line that is no finding."""
        if not self._quiet:
            write(line)

    def add_all(self, results: Iterable[Hop | Finding]) -> None:
        """Keeps and prints each result."""
        for result in results:
            if isinstance(result, Hop):
                self._hops.append(result)
                self.write(field(f"  {result.status} {result.method} {result.shown}"))
            else:
                self._findings.append(result)
                self._write_finding(result)

    def add_sorted(self, findings: Iterable[Finding]) -> None:
        """Keeps findings, and prints them by level: what is right as soon as it is known, and at
        the end what was not looked at, warnings, and errors last. The end may be an interruption.
        """
        others: list[Finding] = []
        try:
            for finding in findings:
                self._findings.append(finding)
                if finding.level == "ok":
                    self._write_finding(finding)
                else:
                    others.append(finding)
        finally:
            for level in _LATER:
                for finding in others:
                    if finding.level == level:
                        self._write_finding(finding)

    def _write_finding(self, finding: Finding) -> None:
        # A provider's metadata, for example, may contain a newline and the line of a finding.
        remedy = f" → {field(finding.remedy)}" if finding.remedy else ""
        level = colored(WORDS[finding.level], _COLORS[finding.level])
        self.write(f"{level}: {field(finding.part)}: {field(finding.what)}{remedy}")

    def count(self, level: str) -> int:
        """How many findings have that level: error, warning, ok or skipped."""
        return sum(finding.level == level for finding in self._findings)

    def summary(self) -> str:
        """The last line, such as `1 error, 2 warnings` or `OK, 1 part not looked at`."""
        counts = [] if self.count("error") else ["OK"]
        for level, noun, end in (
            ("error", "error", ""),
            ("warning", "warning", ""),
            ("skipped", "part", " not looked at"),
        ):
            if self.count(level):
                counts.append(counted(self.count(level), noun) + end)
        return ", ".join(counts)

    def document(self, settings: Settings, *, login: bool) -> dict[str, object]:
        """What --json prints. login: the requests of the login in place of what to register."""
        document: dict[str, object] = {
            "right": not self.count("error"),
            "findings": [
                asdict(finding) for finding in self._findings if finding.level != "skipped"
            ],
            "not_looked_at": [
                {"part": finding.part, "what": finding.what, "remedy": finding.remedy}
                for finding in self._findings
                if finding.level == "skipped"
            ],
        }
        if login:
            document["hops"] = [
                {
                    "status": hop.status,
                    "method": hop.method,
                    "url": hop.shown,
                    "trace_id": hop.trace_id,
                }
                for hop in self._hops
            ]
        else:
            document["register"] = [line.strip() for line in registration(settings, notes=False)]
        return document
