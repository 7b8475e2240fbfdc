"""The pages that end users see, as HTML and as problem documents.

The pages are small, self-contained and accessible, in light and dark. What varies in a page is a
fixed sentence, a reason code, a trace id, a link on the application's own origin, and on the page
of the user's sessions what their browsers reported of themselves. All of it is escaped.
"""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape

from extproc.core.page import Card, Page

_STYLE = """
:root{color-scheme:light dark;--ink:#1d2430;--dim:#5b6472;--paper:#f6f7f9;--card:#fff;--line:#dfe3e8;--accent:#1f5fbf;--on:#fff}
@media(prefers-color-scheme:dark){:root{--ink:#e8ebf0;--dim:#9aa4b2;--paper:#14171c;--card:#1c2027;--line:#313844;--accent:#8ab4f8;--on:#10141a}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--paper);color:var(--ink);
font:1rem/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{width:100%;max-width:27rem;background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:2rem}
h1{margin:0 0 .5rem;font-size:1.375rem;line-height:1.3}
p{margin:0 0 1.5rem}
a.go,button{display:inline-block;padding:.6rem 1.1rem;border:0;border-radius:.5rem;background:var(--accent);color:var(--on);
font:inherit;font-weight:600;text-decoration:none;cursor:pointer}
a.go:focus-visible,button:focus-visible{outline:3px solid var(--accent);outline-offset:3px}
form{margin:0}
dl{display:grid;grid-template-columns:auto 1fr;gap:.15rem .9rem;margin:2rem 0 0;padding-top:1rem;border-top:1px solid var(--line);
font-size:.8125rem;color:var(--dim)}
main.wide{max-width:44rem}
main.wide>form{display:inline-block;margin:0 1rem .5rem 0}
a.back{display:inline-block;padding:.6rem 0;color:var(--accent)}
ul{list-style:none;margin:0 0 1.5rem;padding:0}
li{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:center;justify-content:space-between;
padding:1rem 0;border-top:1px solid var(--line)}
li div{flex:1 1 16rem;min-width:0}
li dl{margin:.35rem 0 0;padding:0;border:0}
h2{margin:0;font-size:1rem;overflow-wrap:anywhere}
h2 span{margin-left:.5rem;padding:.1rem .5rem;border:1px solid var(--accent);border-radius:1rem;font-size:.75rem;font-weight:600;
color:var(--accent);white-space:nowrap}
li button{background:none;color:var(--accent);border:1px solid var(--accent);padding:.4rem .9rem}
dt{margin:0}
dd{margin:0;font-family:ui-monospace,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
#trace{display:block;user-select:all}
#copy{margin-top:.4rem;padding:.15rem .6rem;border:1px solid var(--line);border-radius:.35rem;background:none;color:var(--ink);
font:.8125rem/1.4 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
#copy:focus-visible{outline-width:2px;outline-offset:1px}
#copy[hidden]{display:none}
@media(max-width:27rem){body{padding:1rem}main{padding:1.5rem 1.25rem}}
""".strip()
# The button works with scripts and a clipboard, which browsers deny to pages without https. Otherwise
# the user selects the text.
_SCRIPT = """
(()=>{const b=document.getElementById("copy"),t=document.getElementById("trace");if(!b||!navigator.clipboard)return;b.hidden=false;
b.onclick=()=>navigator.clipboard.writeText(t.textContent).then(()=>{b.textContent="Copied"},()=>{getSelection().selectAllChildren(t)})})()
""".strip()


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


# There is no form-action, because browsers apply it to redirects too, and a logout redirects to the
# provider.
_CSP = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; base-uri "
    "'none'; frame-ancestors "
)
# scheme, host and port of a source expression (CSP level 3 section 2.3.1)
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_COPY = (
    '<button type="button" id="copy" aria-describedby="trace" aria-live="polite" '
    "hidden>Copy</button>"
)


def csp(framed_by: Sequence[str] = ()) -> str:
    """The Content-Security-Policy of a page. Only the origins in `framed_by` may frame it.

    An origin with a character that could end the directive (`;`, `,`) is left out.
    """
    origins = [origin for origin in framed_by if _ORIGIN.fullmatch(origin)]
    return _CSP + (" ".join(origins) or "'none'")


def html(page: Page, reason: str, trace_id: str, *, error: bool) -> bytes:
    """The page as HTML.

    Args:
        page: What the page shows.
        reason: The reason code, which an error page shows.
        trace_id: The trace id, which error pages and confirmations show unless it is "".
        error: Whether the page reports an error.
    """
    action = _link(page.link, page.link_text, "go")
    if page.posts:
        action = _button(page.link, page.link_text)
    if page.back:
        action += _link(page.back, "Back to the application", "back")
    facts = [("Reason", reason)] if error else []
    if trace_id and (error or (page.posts and not page.cards)):
        facts.append(("Trace", trace_id))
    script = f"<script>{_SCRIPT}</script>" if facts and facts[-1][0] == "Trace" else ""
    cards = f"<ul>{''.join(map(_card, page.cards))}</ul>" if page.cards else ""
    attributes = (' class="wide"' if page.cards else "") + (" role=alert" if error else "")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width,initial-scale=1">'
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style></head>"
        f"<body><main{attributes}><h1>{escape(page.title)}</h1>"
        f"<p>{escape(page.text)}</p>{cards}{action}{_facts(facts)}</main>{script}</body></html>"
    ).encode()


def _card(card: Card) -> str:
    badge = f"<span>{escape(card.badge)}</span>" if card.badge else ""
    title = f"<h2>{escape(card.title)}{badge}</h2>"
    button = _button(card.link, card.link_text, card.title)
    return f"<li><div>{title}{_facts(card.facts)}</div>{button}</li>"


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    details = "".join(
        f"<dt>{escape(name)}</dt><dd>{_fact(name, value)}</dd>" for name, value in facts
    )
    return f"<dl>{details}</dl>" if details else ""


def _fact(name: str, value: str) -> str:
    return f'<span id="trace">{escape(value)}</span>{_COPY}' if name == "Trace" else escape(value)


def _button(link: str, text: str, subject: str = "") -> str:
    """A button that posts. Screen readers read the subject after the button's text."""
    label = f' aria-label="{escape(text)}: {escape(subject)}"' if subject else ""
    form = f'<form method="post" action="{escape(link, quote=True)}">'
    return f'{form}<button type="submit"{label}>{escape(text)}</button></form>'


def _link(link: str, text: str, kind: str) -> str:
    return f'<a class="{kind}" href="{escape(link, quote=True)}">{escape(text)}</a>'


def problem(page: Page, status: int, reason: str, trace_id: str, login_url: str | None) -> bytes:
    """The page as a problem document, application/problem+json (RFC 9457).

    Args:
        page: Its title and text are in the document.
        status: The HTTP status of the answer.
        reason: The reason code.
        trace_id: The trace id.
        login_url: Where a login starts, if a login is the remedy.
    """
    document: dict[str, str | int] = {
        "type": "about:blank",
        "title": page.title,
        "status": status,
        "detail": page.text,
        "reason": reason,
        "trace_id": trace_id,
    }
    if login_url is not None:
        document["login_url"] = login_url
    return json.dumps(document).encode()
