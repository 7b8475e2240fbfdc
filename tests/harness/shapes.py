"""Foreign input in the shapes that cost parsers most, in any size.

HEADS["many assertions"](30_000)     # a path and header lines of about so many bytes
DOCUMENTS["many keys"](500_000)      # JSON
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Head:
    """What a client chooses: a path with its query, header lines in order, an authority."""

    path: str = "x"  # after a prefix that ends with a slash
    headers: tuple[tuple[str, str], ...] = ()
    authority: str = ""  # after the host


def filled(unit: str, size: int, between: str = "") -> str:
    """`unit` again and again, about `size` characters and never more.

    Each has its number, if `unit` has a place for one.
    """
    numbered = "#" in unit
    longest = len(unit) + len(between) + (unit.count("#") * (len(str(size)) - 1) if numbered else 0)
    count = size // longest
    return between.join(
        [unit.replace("#", str(number)) for number in range(count)] if numbered else [unit] * count
    )


def _cookie(
    unit: str, between: str = "; ", before: str = "", after: str = ""
) -> Callable[[int], Head]:
    def made(size: int) -> Head:
        text = before + filled(unit, size - len(before) - len(after), between) + after
        return Head(headers=(("cookie", text),) if size else ())

    return made


def _header(name: str, unit: str, between: str = "") -> Callable[[int], Head]:
    return lambda size: Head(headers=((name, filled(unit, size, between)),) if size else ())


def _path(unit: str, between: str = "", before: str = "") -> Callable[[int], Head]:
    return lambda size: Head(before + (filled(unit, size, between) or "x"))


def _lines(unit: str, lines: int = 40) -> Callable[[int], Head]:
    """So many Cookie headers."""
    return lambda size: Head(
        headers=(("cookie", filled(unit, size // lines, "; ")),) * lines if size else ()
    )


OURS = "__Host-extproc-"  # Has extproc- in it, so that both spellings are searched for.
# what a client may write into a Cookie header; the prefix is that of https, and with it goes for
# http as well
COOKIES: dict[str, Callable[[int], Head]] = {
    "one cookie": _cookie("v", "", "a="),
    "many foreign": _cookie("c#=v"),
    "many assertions": _cookie("extproc-assertion-#=v"),
    "many assertions of one name": _cookie("extproc-assertion-main=#"),
    "many assertions of __Host-": _cookie(OURS + "assertion-#=v"),
    "many sessions": _cookie("extproc-session-#=v"),
    "many sessions of one name": _cookie("extproc-session-main=#"),
    "many logins": _cookie("extproc-login-main-#=v"),
    "many logins as ours are": _cookie("extproc-login-main-0000000a=AQ#"),
    "many logins of __Host-": _cookie(OURS + "login-app-0000000a=AQ#"),
    "assertions with long names": _cookie("extproc-assertion-" + "n" * 200 + "#=v"),
    "of each kind": _cookie("extproc-session-#=v; extproc-assertion-#=v; extproc-login-#=v"),
    "of each kind, one planted": _cookie("extproc-session-#=v; extproc-login-#=extproc-assertion-"),
    "our names in values": _cookie("a#=extproc-assertion-main"),
    "our names in names": _cookie("xextproc-session-#=v"),
    "our prefix alone": _cookie("extproc-", ""),
    "our prefix in one value": _cookie("extproc-assertion-", "", "a="),
    "our kinds without an end": _cookie("extproc-session-", ""),
    "one of ours, huge": _cookie("v", "", "extproc-session-main="),
    "an assertion, huge": _cookie("v", "", "extproc-assertion-main="),
    "a name of ours, huge": _cookie("n", "", "extproc-assertion-"),
    "blanks": _cookie("   ", "", "extproc-session-a=b;", "extproc-session-main=v"),
    "blanks between ours": _cookie("extproc-session-#=v", ";" + " " * 200),
    "separators": _cookie(";", ""),
    "separators between ours": _cookie("extproc-login-#=v", ";" * 200),
    "equals signs": _cookie("=", "", "extproc-assertion-main"),
    "commas": _cookie("a#=b", ","),
    "commas between ours": _cookie("extproc-assertion-#=v", ","),
    "commas between sessions": _cookie("extproc-session-#=v", ","),
    "a comma at the end": _cookie("extproc-session-#=v", "; ", "", "; a=b,"),
    "a comma at the beginning": _cookie("extproc-session-#=v", "; ", "a=b,c; "),
    "many lines of foreign": _lines("c#=v"),
    "many lines of assertions": _lines("extproc-assertion-#=v"),
    "many lines of sessions": _lines("extproc-session-#=v"),
}
# the other parts of a head
OTHERS: dict[str, Callable[[int], Head]] = {
    "segments": _path("a/"),
    "dots": _path("a/../"),
    "dots that are left": _path("..;/"),
    "slashes": _path("/"),
    "percent": _path("%61"),
    "percent again": _path("%2561"),
    "escaped slashes": _path("%2f"),
    "escaped dots": _path("%2e%2e/"),
    "parameters": _path(";a=b"),
    "backslashes": _path("\\"),
    "fields of a query": _path("a#=b", "&", "x?"),
    "one field again": _path("return_to=/a", "&", "x?"),
    "empty fields": _path("&", "", "x?"),
    "percent in a query": _path("%41", "", "x?return_to=/"),
    "question marks": _path("?"),
    "a path in a query": _path("/..", "", "x?return_to=/a"),
    "labels of a host": lambda size: Head(authority=filled(".a", size)),
    "digits of a port": lambda size: Head(authority=":" + filled("1", size) if size else ""),
    "colons of a host": lambda size: Head(authority=filled(":1", size)),
    "user-agent": _header("user-agent", "Chrome/# (X11; Linux) ", ""),
    "accept": _header("accept", "text/html;q=0.#", ","),
    "accept without a match": _header("accept", "text/event-strea", ","),
    "x-forwarded-for": _header("x-forwarded-for", "10.0.0.#", ", "),
    "x-forwarded-for of commas": _header("x-forwarded-for", ","),
    "sec-fetch-mode": _header("sec-fetch-mode", "navigate", ","),
    "sec-purpose": _header("sec-purpose", "prefetc", ";"),
    "origin": _header("origin", "https://a.b:1/", ""),
    "content-type": _header("content-type", "application/grp", ";"),
    "authorization": _header("authorization", "Bearer a.b.c", " "),
    "traceparent": _header("traceparent", "00-", ""),
    "tracestate": _header("tracestate", "a#=b", ","),
    "upgrade": _header("upgrade", "websocke", ","),
    "an unknown header": _header("x-unknown", "a=b;", " "),
    "a header of ours": _header("x-extproc-cookies", "extproc-assertion-#=v", "; "),
    "identity headers": lambda size: Head(
        headers=(("x-auth-sub", "a" * (size // 40)),) * 40 if size else ()
    ),
}
HEADS = COOKIES | OTHERS


def _document(
    unit: str, between: str = ",", before: str = '{"a":[', after: str = "]}"
) -> Callable[[int], bytes]:
    """Text that may or may not be valid JSON."""
    return cache(
        lambda size: (
            before + filled(unit, size - len(before) - len(after), between) + after
        ).encode()
    )


DOCUMENTS: dict[str, Callable[[int], bytes]] = {
    "one text": _document("a", "", '{"a":"', '"}'),
    "escapes": _document("\\u00e9", "", '{"a":"', '"}'),
    "halves of surrogates": _document("\\ud800", "", '{"a":"', '"}'),
    "a text without an end": _document("\\\\", "", '{"a":"', ""),
    "many texts": _document('"a#"'),
    "many objects": _document('{"a":#}'),
    "many keys": _document('"k#":#', ",", "{", "}"),
    "one key again": _document('"k":#', ",", "{", "}"),
    "deep lists": _document("[", "", '{"a":', ""),
    "deep objects": _document('{"a":', "", "", ""),
    "many deep lists": _document("[" * 100 + "]" * 100),
    "many deep objects": _document('{"a":' * 100 + "1" + "}" * 100),
    "digits of a number": _document("1", "", '{"a":', "}"),
    "digits of a fraction": _document("1", "", '{"a":0.', "}"),
    "digits of an exponent": _document("1", "", '{"a":1e', "}"),
    "many long numbers": _document("1" * 1000),
    "many long fractions": _document("0." + "1" * 1000),
    "many small numbers": _document("#"),
    "blanks": _document(" ", "", "{", "}"),
    "no JSON": _document("<p>", "", "", ""),
    "commas": _document(",", "", "{", "}"),
    "not ASCII": _document("\u00e9", "", '{"a":"', '"}'),
    "UTF-16": lambda size: json.dumps({"a": "b" * (size // 2 - 20)}).encode("utf-16"),
}


def with_members(document: bytes, **members: object) -> bytes:
    """The object with these members before its own."""
    text = json.dumps(members)[:-1].encode()
    return (
        text + b"," + document[1:] if document[:1] == b"{" and document[1:2] != b"}" else document
    )
