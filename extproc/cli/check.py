"""`extproc check`: looks at everything that a login needs, and says what is wrong and what to do
about it, a line each.

Exit codes: 0 all right, or warnings only; 1 an error was found, or the settings cannot be used.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict

from extproc.checks import Finding, Scope, check, registration
from extproc.checks.browser import Hop
from extproc.checks.login import walk
from extproc.settings import Settings


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Gives the exit code."""
    said = CheckReport(quiet=parsed.json)
    if parsed.login is not None:
        name = _application(settings, parsed.login)
        said.all(walk(settings, name, parsed.ca))
    else:
        for line in registration(settings):
            said.line(line)
        said.all(
            check(settings, Scope(parsed.offline, _url(parsed.envoy_admin), parsed.envoy_config))
        )
    if parsed.json:
        print(json.dumps(said.document(settings, login=parsed.login is not None), indent=2))
    else:
        print(said.summary())
    return 1 if said.count("error") else 0


def _application(settings: Settings, asked: str) -> str:
    if not settings.protected:
        sys.exit("extproc: there is no application with a login in the settings")
    if asked and asked not in settings.protected:
        sys.exit(
            f"extproc: no application {asked[:80]!r} with a login; there are: "
            f"{', '.join(settings.protected)}"
        )
    return asked or settings.protected[0]


def _url(text: str | None) -> str | None:
    return text if text is None or "://" in text else f"http://{text}"


class CheckReport:
    """What was found, printed as it comes."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._findings: list[Finding] = []
        self._hops: list[Hop] = []

    def line(self, text: str) -> None:
        if not self._quiet:
            print(text, flush=True)

    def all(self, found: Iterable[Hop | Finding]) -> None:
        for each in found:
            if isinstance(each, Hop):
                self._hops.append(each)
                self.line(f"  {each.status} {each.method} {each.shown}")
            else:
                self._findings.append(each)
                remedy = f" → {each.remedy}" if each.remedy else ""
                self.line(f"{each.level}: {each.part}: {each.what}{remedy}")

    def count(self, level: str) -> int:
        return sum(each.level == level for each in self._findings)

    def summary(self) -> str:
        errors, warnings = self.count("error"), self.count("warning")
        counted = ", ".join(
            f"{n} {word}{'s' if n > 1 else ''}"
            for n, word in ((errors, "error"), (warnings, "warning"))
            if n
        )
        return ("not all right: " if errors else "all right") + (
            f"{counted}" if errors else f", with {counted}" if counted else ""
        )

    def document(self, settings: Settings, *, login: bool) -> dict[str, object]:
        found: dict[str, object] = {
            "right": not self.count("error"),
            "findings": [asdict(each) for each in self._findings],
        }
        if login:
            hops = [
                {"status": h.status, "method": h.method, "url": h.shown, "trace_id": h.trace_id}
                for h in self._hops
            ]
            return {**found, "hops": hops}
        return {**found, "register": [line.strip() for line in registration(settings)]}
