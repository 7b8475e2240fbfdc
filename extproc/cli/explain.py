"""`extproc explain`: what happened in a login, by its trace id or the request id of an answer of
Envoy's own, or how a request would be handled, by its URL.

Exit codes: 0 it is explained; 1 it cannot be: no such trace, an address that does not answer, or
settings that cannot be used.
"""

import argparse
import shutil
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from extproc.addresses import reachable
from extproc.cli.output import fail, field, plain, remedy, write
from extproc.core.http import AUTHORIZATION
from extproc.core.reasons import REASONS
from extproc.explain.access_log import logged_request
from extproc.explain.request import explain
from extproc.explain.sample import SampleRequest
from extproc.explain.session import find
from extproc.explain.token import find_token
from extproc.explain.trace import Chapter, NoStory, from_admin, from_jaeger
from extproc.settings import Settings
from extproc.settings.files import read_argument
from extproc.traces import Summary, duration, render
from extproc.traces.ids import trace_id_in
from extproc.traces.tree import failed

ROLES = {"redirect": "redirect to the provider", "callback": "callback", "page": "page"}
# bytes; a token that is longer is refused anyway
_TOKEN_LIMIT = 1 << 20
_COOKIES_LIMIT = 16 << 20  # bytes; Envoy itself accepts some 8 MB of headers
JOINED = {"link": ", by a span link", "client": ", by client and time", "": ""}


def run(settings: Settings, parsed: argparse.Namespace) -> int:
    """Explains, prints, and returns the exit code."""
    text = " ".join(parsed.what)
    if "://" in text or text.startswith("/"):
        _explain_request(settings, parsed, text)
        return 0
    trace_id = trace_id_in(text)
    if trace_id is None:
        fail(
            f"{text[:80]!r} is neither a trace id (32 hexadecimal digits) nor a URL or path",
        )
    try:
        chapters = _chapters(settings, parsed, trace_id)
    except NoStory as problem:
        log = settings.gateway.access_log
        if not _write_logged(Path(log), trace_id):
            fail(
                f"trace {trace_id}: {problem}; if it is the request id of an answer, look for it "
                f"in Envoy's access log, {log}"
            )
        return 0
    _write_login(chapters)
    return 0


# -- a request, by its URL -------------------------------------------------------------------------


def _explain_request(settings: Settings, parsed: argparse.Namespace, url: str) -> None:
    request = SampleRequest(parsed.method.upper(), url, _headers(parsed))
    for step in explain(settings, request, find, find_token):
        write(field(f"{'→' if step.verdict else '·'} {step.what}"))
        if step.remedy:
            write(remedy(step.remedy))


def _headers(parsed: argparse.Namespace) -> tuple[tuple[str, str], ...]:
    headers = []
    for header in parsed.header:
        name, _, value = header.partition(":")
        headers.append((name.strip().lower(), value.strip()))
    if any(name == AUTHORIZATION and value for name, value in headers):
        fail(
            "--header Authorization: what stands here is in the shell's history and in the list of "
            "processes; give an access token by --bearer FILE, or - for standard input"
        )
    if parsed.bearer is not None:
        headers.append((AUTHORIZATION, f"Bearer {_token(parsed.bearer)}"))
    if parsed.cookie:
        cookies = [_cookie(argument) for argument in parsed.cookie]
        headers.append(("cookie", "; ".join(cookies)))
    return tuple(headers)


def _token(argument: str) -> str:
    """The access token in a file, or on standard input for "-"; `Bearer` may stand before it."""
    try:
        source = Path("/dev/stdin" if argument == "-" else argument)
        text = read_argument(source, _TOKEN_LIMIT).decode("latin-1")
    except OSError as problem:
        # The argument is not shown: it may be a token in the place of its file.
        fail(
            f"--bearer: {problem.strerror or 'cannot be read'}; it is the name of a file with the "
            "token, or - for standard input"
        )
    _, _, after = text.rpartition("Bearer ")
    token = after.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        fail(f"{argument}: has no access token, on one line and without blanks")
    return token


def _cookie(argument: str) -> str:
    """A cookie header's value. @FILE keeps it out of the shell's history and the list of
    processes.
    """
    if not argument.startswith("@"):
        return argument
    path = Path(argument[1:])
    try:
        text = read_argument(path, _COOKIES_LIMIT).decode("latin-1")
    except OSError as problem:
        fail(f"{path}: {problem.strerror or 'cannot be read'}")
    return text.strip().removeprefix("Cookie:").strip()


# -- a login, by a trace id ------------------------------------------------------------------------


def _chapters(settings: Settings, parsed: argparse.Namespace, trace_id: str) -> tuple[Chapter, ...]:
    """The requests of the login, in order. Raises NoStory."""
    if parsed.jaeger:
        return from_jaeger(parsed.jaeger, trace_id)
    return from_admin(parsed.admin or str(reachable(settings.admin)), trace_id)


def _write_logged(log: Path, request_id: str) -> bool:
    """What Envoy's access log says about a request, if it is a file here and has the request."""
    try:
        found = logged_request(log, request_id) if log.is_file() else None
    except OSError:
        return False
    if found is None:
        return False
    # The client chose the path and the authority.
    write(field(f"{found.request}: {found.answer}"))
    write(field(f"   {found.what}"))
    if found.remedy:
        write(remedy(found.remedy))
    if trace_id_in(found.trace_id):
        write(field(f"   trace {found.trace_id}"))
    return True


def _write_login(chapters: tuple[Chapter, ...]) -> None:
    starts = [chapter.step.summary.start_ns for chapter in chapters if chapter.step.summary]
    began = min(starts, default=0)
    if starts:
        at = datetime.fromtimestamp(began / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")
        noun = "request" if len(chapters) == 1 else "requests"
        write(f"{len(chapters)} {noun}, from {at} UTC\n")
    for number, chapter in enumerate(chapters, 1):
        step = chapter.step
        here = " (asked for)" if chapter.asked_for and len(chapters) > 1 else ""
        role = f"{ROLES[step.role]}{JOINED[step.joined]}"
        write(field(f"{number}. {role}{here}: trace {step.trace_id}"))
        if step.summary is None:
            write(
                "   not known: it was not sampled (tracing.sample), or newer traces replaced it\n"
            )
        else:
            _write_chapter(chapter, step.summary, began, alone=len(chapters) == 1)


def _write_chapter(chapter: Chapter, summary: Summary, began: int, *, alone: bool) -> None:
    """One request: what came of it and when, its reasons, its spans.

    Args:
        chapter: the request.
        summary: its summary.
        began: the login, in nanoseconds since the epoch.
        alone: whether no other request of the login is known; the start of a login that went on
            needs no remedy.
    """
    application = f", application {summary.application}" if summary.application else ""
    took = duration(summary.duration_ns)
    offset = duration(max(summary.start_ns - began, 0))
    write(field(f"   {summary.request}{application}"))
    write(field(f"   {_outcome(summary)}, after {took}, at +{offset}"))
    for code in dict.fromkeys(_codes(chapter, summary)):
        if code in REASONS:
            write(field(f"   {code}: {REASONS[code].text}"))
            if alone or code != "login_started":
                write(remedy(REASONS[code].remedy))
    for detail in dict.fromkeys(span.attribute("extproc.detail") for span in chapter.spans):
        if detail:
            write(field(f"   detail: {detail}"))
    width = max(shutil.get_terminal_size().columns - 45, 40)
    spans = plain(render(chapter.spans, width=width))
    write(textwrap.indent(spans, "   ") + "\n")


def _outcome(summary: Summary) -> str:
    parts = [part for part in (summary.status, summary.reason) if part]
    if parts:
        return " ".join(parts)
    return "an error" if summary.failed else "no answer known"


def _codes(chapter: Chapter, summary: Summary) -> Iterator[str]:
    """The codes of the request and of the spans that failed, which may be reasons."""
    yield summary.reason
    for span in chapter.spans:
        if failed(span):
            yield span.attribute("extproc.reason", "error.type")
