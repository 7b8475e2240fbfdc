"""`extproc explain`: the story of a request by its trace id, or what would become of a request by
its URL.

Exit codes: 0 it is told; 1 it cannot be: no such trace, nobody to ask, settings that cannot be
used.
"""

import argparse
import shutil
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from extproc.addresses import reachable
from extproc.core.reasons import REASONS
from extproc.explain.request import SampleRequest, explain
from extproc.explain.session import find
from extproc.explain.trace import Chapter, NoStory, from_admin, from_jaeger
from extproc.settings import Settings
from extproc.traces import Summary, duration, render
from extproc.traces.ids import trace_id_in
from extproc.traces.tree import failed

ROLES = {"redirect": "redirect to the provider", "callback": "callback", "page": "page"}
JOINED = {"link": ", by a span link", "client": ", by client and time", "": ""}


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Gives the exit code."""
    text = " ".join(parsed.what)
    if "://" in text or text.startswith("/"):
        return _request(settings, parsed, text)
    trace_id = trace_id_in(text)
    if trace_id is None:
        sys.exit(
            f"extproc: {text[:80]!r} is neither a trace id (32 hexadecimal digits) nor a "
            "URL or path"
        )
    admin = parsed.admin or f"http://{reachable(settings.admin)}"
    admin = admin if "://" in admin else f"http://{admin}"
    try:
        chapters = (
            from_jaeger(parsed.jaeger, trace_id) if parsed.jaeger else from_admin(admin, trace_id)
        )
    except NoStory as problem:
        sys.exit(f"extproc: trace {trace_id}: {problem}")
    _tell(chapters, trace_id)
    return 0


def _request(settings: Settings, parsed: argparse.Namespace, url: str) -> int:
    headers = [
        (name.strip().lower(), value.strip())
        for name, _, value in (each.partition(":") for each in parsed.header)
    ]
    if cookies := [_cookie(each) for each in parsed.cookie]:
        headers.append(("cookie", "; ".join(cookies)))
    for step in explain(settings, SampleRequest(parsed.method.upper(), url, tuple(headers)), find):
        print(_plain(f"{'→' if step.verdict else '·'} {step.what}"))
        if step.remedy:
            print(_folded(step.remedy))
    return 0


def _cookie(said: str) -> str:
    """@FILE keeps it out of the shell's history and the list of processes."""
    if not said.startswith("@"):
        return said
    try:
        return Path(said[1:]).read_text(encoding="latin-1").strip().removeprefix("Cookie:").strip()
    except OSError as problem:
        sys.exit(f"extproc: {said[1:]}: {problem.strerror or 'cannot be read'}")


def _tell(chapters: tuple[Chapter, ...], trace_id: str) -> None:
    known = [each.step.summary for each in chapters if each.step.summary is not None]
    begin = min((each.start_ns for each in known), default=0)
    if known:
        at = datetime.fromtimestamp(begin / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
        print(f"{len(chapters)} {'request' if len(chapters) == 1 else 'requests'}, from {at} UTC\n")
    for number, chapter in enumerate(chapters, 1):
        step = chapter.step
        here = " (asked for)" if step.trace_id == trace_id and len(chapters) > 1 else ""
        print(f"{number}. {ROLES[step.role]}{JOINED[step.joined]}{here}: trace {step.trace_id}")
        if step.summary is None:
            print("   is not kept any more\n")
            continue
        _told(chapter, step.summary, begin)


def _told(chapter: Chapter, of: Summary, begin: int) -> None:
    came = " ".join(filter(None, (of.status, of.reason))) or (
        "an error" if of.failed else "no answer known"
    )
    whose = f", application {of.application}" if of.application else ""
    print(_plain(f"   {of.request}{whose}"))
    print(
        _plain(
            f"   {came}, after {duration(of.duration_ns)}, at "
            f"+{duration(max(of.start_ns - begin, 0))}"
        )
    )
    for reason in dict.fromkeys(
        (
            of.reason,
            *(
                span.attribute("extproc.reason", "error.type")
                for span in chapter.spans
                if failed(span)
            ),
        )
    ):
        if reason in REASONS:
            print(_plain(f"   {reason}: {REASONS[reason].text}"))
            print(_folded(REASONS[reason].remedy))
    width = max(shutil.get_terminal_size().columns - 45, 40)
    print(textwrap.indent(_plain(render(chapter.spans, width=width)), "   ") + "\n")


def _folded(remedy: str) -> str:
    return textwrap.fill(_plain(remedy), 100, initial_indent="     → ", subsequent_indent="       ")


def _plain(text: str) -> str:
    """Spans come from anybody who reaches the admin: nothing of theirs may steer a terminal."""
    return "\n".join(
        "".join(c if c.isprintable() else "�" for c in line) for line in text.split("\n")
    )
