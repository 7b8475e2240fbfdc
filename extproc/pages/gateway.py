"""The page of an error that Envoy answers itself, for browsers.

Envoy fills in the status and the request id, and the browser does the rest: the page has no script
and loads nothing. Its style is a short one of its own, because Envoy's configuration holds a page
for each kind of error.
"""

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import Literal

# What stands in a page for what Envoy fills in.
STATUS = "{STATUS}"
REQUEST_ID = "{REQUEST_ID}"

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--dim:#5b6472;--paper:#f6f7f9;--card:#fff;--line:#dfe3e8;--go:#1f5fbf;--on:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--dim:#9aa4b2;--paper:#14171c;--card:#1c2027;--line:#313844;--go:#8ab4f8;--on:#10141a}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{width:100%;max-width:27rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:2rem}
h1{margin:0 0 .5rem;font-size:1.375rem;line-height:1.3}p{margin:0 0 1.5rem}
a{display:inline-block;padding:.6rem 1.1rem;border-radius:.5rem;background:var(--go);color:var(--on);font-weight:600;text-decoration:none}
a:focus-visible{outline:3px solid var(--go);outline-offset:3px}
dl{display:grid;grid-template-columns:auto 1fr;gap:.15rem .9rem;margin:2rem 0 0;padding-top:1rem;border-top:1px solid var(--line);
font-size:.8125rem;color:var(--dim)}
dd{margin:0;font-family:ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere;user-select:all}
""".strip().replace("\n", "")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_LINKS = {"retry": ("", "Try again"), "home": ("/", "Go to the start page")}


@dataclass(frozen=True, slots=True)
class GatewayError:
    """What a user reads about an error, and the one link of its page, if it has one."""

    title: str
    text: str
    link: Literal["retry", "home", ""] = ""


def gateway_page(error: GatewayError) -> str:
    """The page as HTML, with STATUS and REQUEST_ID where Envoy fills them in."""
    link = ""
    if error.link:
        target, words = _LINKS[error.link]
        link = f'<a href="{target}">{words}</a>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width,initial-scale=1"><title>{escape(error.title)}</title>'
        f"<style>{_STYLE}</style></head><body><main role=alert><h1>{escape(error.title)}</h1>"
        f"<p>{escape(error.text)}</p>{link}<dl><dt>Status</dt><dd>{STATUS}</dd>"
        f"<dt>Request id</dt><dd>{REQUEST_ID}</dd></dl></main></body></html>\n"
    )
