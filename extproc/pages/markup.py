"""What the trace pages share: the frame of a page, its policy, the search, chips and small texts.

No script and nothing from elsewhere: one fixed style sheet, whose hash is in the content security
policy, and bars that are SVG, since that policy forbids style attributes. Whatever comes from a
span is escaped where it enters the markup.
"""

import base64
import hashlib
import zlib
from collections.abc import Iterable
from datetime import UTC, datetime
from html import escape
from importlib.resources import files

STYLE = files("extproc.pages").joinpath("traces.css").read_text()
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "style-src 'sha256-" + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode() + "'"
)
COLOURS = 8  # .c0 to .c7 in the style sheet


def page(title: str, body: str, note: str = "", *, search: str = "", back: bool = False) -> str:
    """`title` and `search` are text, `body` and `note` are markup. search: what stands in the
    search field.
    """
    nav = "<a href=/traces>All traces</a>" if back else "<a href=/traces>Reload</a>"
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
        "content='width=device-width'>"
        f"<meta name=color-scheme content='light dark'><title>{escape(title)} · extproc</title>"
        f"<style>{STYLE}</style></head><body><a class=skip href='#main'>Skip to the "
        "content</a><header>"
        f"<div class=top><nav aria-label=Traces><b>extproc</b> {nav}</nav>"
        "<form class=search role=search action=/traces><label for=id>Trace id</label>"
        f"<input id=id name=id value='{escape(search)}' required maxlength=400 "
        "autocomplete=off spellcheck=false"
        " placeholder='as an error page or a log line shows it'><button>Find</button></form></div>"
        f"<h1>{escape(title)}</h1><p>{note}</p></header><main id=main "
        f"tabindex=-1>{body}</main></body></html>"
    )


def services(names: Iterable[str]) -> dict[str, int]:
    """Each service and its colour: the same on every page, as far as two in one trace do not want
    the same.
    """
    colours: dict[str, int] = {}
    for name in names:
        if name not in colours:
            wanted = zlib.crc32(name.encode()) % COLOURS
            free = [
                c % COLOURS
                for c in range(wanted, wanted + COLOURS)
                if c % COLOURS not in colours.values()
            ]
            colours[name] = free[0] if free else wanted
    return colours


def chips(status: str, reason: str, *, failed: bool) -> str:
    """The HTTP status, the reason code, the error: what a person looks for."""
    found = [(status, "bad" if status[:1] in "45" else "")] if status and status != "0" else []
    if reason:
        found.append((reason, "bad" if failed else ""))
    elif failed and not any(kind for _, kind in found):
        found.append(("error", "bad"))
    return " ".join(f"<span class='chip {kind}'>{escape(text)}</span>" for text, kind in found)


def name(service: str) -> str:
    return escape(service) or "unnamed"


def when(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
