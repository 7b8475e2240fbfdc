"""Markup that the trace pages share: the frame of a page, the search, chips and short texts.

The pages have no script and load nothing. There is one fixed style sheet, whose hash is in the
content security policy. Bars are SVG, because that policy forbids style attributes. Every value of a
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
COLOURS = 8  # classes .c0 to .c7 in the style sheet


def page(title: str, body: str, note: str = "", *, search: str = "", back: bool = False) -> str:
    """A whole page.

    Args:
        title: Title of the page, as text.
        body: Content of the page, as markup.
        note: Line below the title, as markup.
        search: Content of the search field, as text.
        back: Whether the link at the top leads back to the list, instead of reloading it.
    """
    nav = f"<a href=/traces>{'All traces' if back else 'Reload'}</a>"
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
    """The number of each service's colour.

    A service has the same colour on every page, unless two services of one trace would share it.
    """
    colours: dict[str, int] = {}
    for service in names:
        if service in colours:
            continue
        preferred = zlib.crc32(service.encode()) % COLOURS
        order = [number % COLOURS for number in range(preferred, preferred + COLOURS)]
        taken = set(colours.values())
        colours[service] = next((number for number in order if number not in taken), preferred)
    return colours


def chips(status: str, reason: str, *, failed: bool) -> str:
    """The HTTP status and the reason code as labels; "error" if neither shows a failure."""
    labels: list[tuple[str, str]] = []
    if status and status != "0":
        labels.append((status, "bad" if status[:1] in "45" else ""))
    if reason:
        labels.append((reason, "bad" if failed else ""))
    elif failed and not any(kind for _, kind in labels):
        labels.append(("error", "bad"))
    return " ".join(f"<span class='chip {kind}'>{escape(text)}</span>" for text, kind in labels)


def name(service: str) -> str:
    """The name of a service, as markup."""
    return escape(service) or "unnamed"


def when(nanoseconds: int) -> str:
    """The time of day in UTC, of nanoseconds since 1970."""
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]


def count(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
