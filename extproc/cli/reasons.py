"""`extproc reasons`: what a reason code means and what to do about it, from the table."""

import argparse
import difflib
import sys
import textwrap

from extproc.core.reasons import REASONS, Reason


def run(parsed: argparse.Namespace) -> int:
    if parsed.reason is None:
        for reason in REASONS.values():
            print(
                f"{reason.code:<42} {status(reason):<4} {reason.level.name.lower():<8} "
                f"{reason.title}"
            )
        return 0
    found = REASONS.get(parsed.reason)
    if found is None:
        near = difflib.get_close_matches(parsed.reason, REASONS, 3)
        sys.exit(
            f"extproc: no reason {parsed.reason[:80]!r}"
            + (f"; near it: {', '.join(near)}" if near else "")
        )
    print(explained(found))
    return 0


def status(reason: Reason) -> str:
    return str(reason.status) if reason.status is not None else "-"


def explained(reason: Reason) -> str:
    """A few lines for a terminal."""
    told = textwrap.fill(
        reason.remedy, 100, initial_indent="  what it is  ", subsequent_indent=" " * 14
    )
    shown = textwrap.fill(
        reason.text, 100, initial_indent="  users read  ", subsequent_indent=" " * 14
    )
    return (
        f"{reason.code}\n  status      {status(reason)}\n  log level   "
        f"{reason.level.name.lower()}\n{shown}\n{told}"
    )
