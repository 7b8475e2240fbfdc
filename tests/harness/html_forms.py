"""The forms of an HTML page, with the values that a browser would send."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx


@dataclass(slots=True)
class Form:
    action: str
    method: str
    id: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        a = {k: v or "" for k, v in attrs}
        if tag == "form":
            self._open = Form(a.get("action", ""), a.get("method", "get").upper(), a.get("id"))
            self.forms.append(self._open)
        elif tag == "input" and self._open is not None and a.get("name"):
            if a.get("type") == "submit":
                self._open.buttons.append((a["name"], a.get("value", "")))
            elif a.get("type") not in ("checkbox", "radio") or "checked" in a:
                self._open.fields[a["name"]] = a.get("value", "")
        elif tag == "button" and a.get("name"):  # It may be outside its form and name it.
            named = [form for form in self.forms if a.get("form") and form.id == a["form"]]
            for form in named or ([self._open] if self._open is not None else []):
                form.buttons.append((a["name"], a.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


def forms(page: httpx.Response) -> list[Form]:
    """The forms of an HTML page. If there are POST forms, only those."""
    if "html" not in page.headers.get("content-type", ""):
        return []
    parser = _Forms()
    parser.feed(page.text)
    return [form for form in parser.forms if form.method == "POST"] or parser.forms
