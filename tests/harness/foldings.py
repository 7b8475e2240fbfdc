"""Models of how servers read a path: Tomcat, Jetty, Express, IIS and servers in front of them.

A model is a sequence of small steps. It takes the path that Envoy sent on, and gives the segments
by which the server chooses what it serves.
"""

import re
from collections.abc import Callable, Iterator

Step = Callable[[str], str]
Model = Callable[[str], tuple[str, ...]]


def cut(path: str) -> str:
    """Drop the path parameters of each segment, as Tomcat and Jetty do."""
    return "/".join(segment.partition(";")[0] for segment in path.split("/"))


def decode(path: str) -> str:
    """Decode valid percent-encoding, into text of bytes that can be decoded again."""
    return re.sub("%([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), path)


def decode_iis(path: str) -> str:
    """Decode as IIS: also %uXXXX, with its best fit."""
    return ascii_of(decode(re.sub("%u([0-9A-Fa-f]{4})", lambda m: chr(int(m[1], 16)), path)))


def decode_all(path: str) -> str:
    """Decode until nothing is encoded, as a chain of servers does."""
    while (more := decode(path)) != path:
        path = more
    return path


def ascii_of(path: str) -> str:
    """Read overlong UTF-8 as old decoders do, and fullwidth forms by Windows' best fit."""
    path = re.sub("[\xc0\xc1](.)", lambda m: chr((ord(m[0][0]) & 1) << 6 | ord(m[1]) & 0x3F), path)
    path = re.sub(
        "\xe0([\x80\x81])(.)", lambda m: chr((ord(m[1]) & 1) << 6 | ord(m[2]) & 0x3F), path
    )
    path = re.sub("\xef([\xbc\xbd])([\x80-\xbf])", lambda m: _narrow(m[0]), path)
    return "".join(chr(ord(c) - 0xFEE0) if 0xFF01 <= ord(c) <= 0xFF5E else c for c in path)


def _narrow(three: str) -> str:
    code = ord(three.encode("latin-1").decode())
    return chr(code - 0xFEE0) if 0xFF01 <= code <= 0xFF5E else three


def end_at_nul(path: str) -> str:
    return path.partition("\0")[0]


def end_at_query(path: str) -> str:
    """Cut at a question mark, as a server that decodes and parses again does."""
    return re.split(r"[?#]", path)[0]


def backslashes(path: str) -> str:
    return path.replace("\\", "/")


def trim(path: str) -> str:
    """Drop dots and blanks behind a name, and the name of a stream, as Windows does."""
    return "/".join(_trimmed(re.split(":[:$]", segment)[0]) for segment in path.split("/"))


def _trimmed(segment: str) -> str:
    without = segment.rstrip(" \t\n\0")
    return without if without in (".", "..") else without.rstrip(". \t\n\0")


def strip(path: str) -> str:
    """Drop blanks around each segment, as tidy servers do."""
    return "/".join(segment.strip() for segment in path.split("/"))


def utf8(path: str) -> str:
    """Read bytes as UTF-8 where they are valid."""
    return re.sub("[\xc2-\xf4][\x80-\xbf]{1,3}", lambda m: _utf8(m[0]), path)


def _utf8(found: str) -> str:
    try:
        return found.encode("latin-1").decode()
    except UnicodeDecodeError:
        return found


def no_case(path: str) -> str:
    """Fold case by the upper case of each character and then its lower case.

    Java's equalsIgnoreCase does so.
    """
    upper = (up if len(up := char.upper()) == 1 else char for char in path)
    return "".join(low if len(low := char.lower()) == 1 else low[0] for char in upper)


def segments(path: str) -> tuple[str, ...]:
    """The segments of a path, with empty segments and dot segments resolved."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    return tuple(kept)


def _model(*steps: Step) -> Model:
    def read(path: str) -> tuple[str, ...]:
        for step in steps:
            path = step(path)
        return segments(path)

    return read


MODELS: dict[str, Model] = {
    "tomcat": _model(cut, decode, backslashes),
    "tomcat, cut last": _model(decode, cut),
    "tomcat behind a proxy that decodes": _model(decode, cut, decode),
    "jetty": _model(decode, cut, end_at_nul),
    "express": _model(decode, no_case),
    "express behind a proxy that decodes": _model(decode, end_at_query, decode, no_case),
    "iis": _model(decode_iis, backslashes, trim, no_case),
    "iis behind a proxy that decodes": _model(decode, decode_iis, backslashes, trim, no_case),
    "windows, names tidied": _model(
        decode_iis, backslashes, utf8, strip, trim, no_case, end_at_nul
    ),
    "whatever decodes all": _model(
        decode_all, ascii_of, backslashes, cut, utf8, strip, trim, no_case, end_at_query
    ),
    "whatever decodes all, cut first": _model(cut, decode_all, cut, end_at_nul, no_case, trim),
    "whatever tidies first": _model(decode_all, utf8, strip, cut, trim, no_case),
}


def readings(path: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The readings of all models."""
    for name, read in MODELS.items():
        yield name, read(path)
