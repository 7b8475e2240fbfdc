"""`extproc reasons`: what a reason code means and what to do about it."""

import argparse
import difflib

from extproc.cli.output import fail, folded, write
from extproc.core.reasons import REASONS, Reason


def run(parsed: argparse.Namespace) -> int:
    """Prints one reason, or a line for each. Returns the exit code."""
    if parsed.reason is None:
        for reason in REASONS.values():
            write(
                f"{reason.code:<42} {status(reason):<4} {reason.level.name.lower():<8} "
                f"{reason.title}"
            )
        return 0
    known = REASONS.get(parsed.reason)
    if known is None:
        similar = difflib.get_close_matches(parsed.reason, REASONS, 3)
        hint = f"; similar: {', '.join(similar)}" if similar else ""
        fail(f"no reason {parsed.reason[:80]!r}{hint}")
    write(explained(known))
    return 0


def status(reason: Reason) -> str:
    """The HTTP status, or a dash if the reason is not an answer."""
    return str(reason.status) if reason.status is not None else "-"


def explained(reason: Reason) -> str:
    """A few lines for a terminal: status, log level, the user's sentence, the operator's remedy."""
    indent = " " * 14
    return "\n".join(
        (
            reason.code,
            f"  status      {status(reason)}",
            f"  log level   {reason.level.name.lower()}",
            folded(reason.text, "  users read  ", indent),
            folded(reason.remedy, "  what it is  ", indent),
        )
    )
