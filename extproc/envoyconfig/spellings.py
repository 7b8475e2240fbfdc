"""Regular expressions (RE2 syntax) for spellings of a path that some server reads as another path:
as dot segments, or as the prefix of another application.

Envoy normalises a path once: it decodes unreserved characters (RFC 3986 section 2.3), resolves `.`
and `..`, merges `//`, reads `\\` as `/`, and refuses bytes that are not printable ASCII. It chooses
the route by the result, and forwards that. The server that gets it may do more, so the expressions
match paths that differ by any of this:

- the server decodes once more, or until nothing is left to decode: `%252e`; also `%u002e` (IIS) and
  overlong UTF-8 (`%c0%ae`);
- it cuts `;...` off each segment (Tomcat, Jetty), before or after it decodes, or ends the path at
  an encoded NUL, `?` or `#`;
- it drops spaces and control characters around a segment, dots at its end, and the name of a stream
  (`::$DATA`; Windows);
- it reads `\\` as `/`, drops empty segments, and ignores case (IIS, Express);
- it reads as ASCII what Windows reads so (fullwidth forms, dot leaders), and letters whose other
  case is ASCII (long s, Kelvin). Other compatibility forms, such as mathematical letters, are not
  matched, because no server is known to route by them.

Python's `re` evaluates them as well, for `extproc explain`, so no repetition is ambiguous.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A percent sign, however often it is encoded.
_PERCENT = r"%(?:25|u0025)*"


def _ascii(digits: str) -> str:
    """An encoded character below U+0100, by its hexadecimal digits."""
    return rf"{_PERCENT}(?:u00)?(?:{digits})"


def _bytes(*digits: str) -> str:
    """The encoded bytes of a character's UTF-8, by the hexadecimal digits of each byte."""
    return "".join(f"%(?:25)*(?:{byte})" if "|" in byte else f"%(?:25)*{byte}" for byte in digits)


def _unicode(digits: str) -> str:
    """A character as IIS encodes it, by the digits of its code point."""
    return f"{_PERCENT}u(?:{digits})"


def _any(*alternatives: str) -> str:
    return "(?:" + "|".join(alternatives) + ")"


# The first bytes of an overlong form of an ASCII character, of three to six bytes.
_LONG = _any(
    _bytes("e0"), _bytes("f0", "80"), _bytes("f8", "80", "80"), _bytes("fc", "80", "80", "80")
)


def _overlong(first: str, last: str) -> str:
    """ASCII characters as overlong UTF-8.

    Args:
        first: the first byte of the form with two bytes, c0 or c1.
        last: the last byte, whose high bits some decoders ignore.
    """
    middle = "80" if first == "c0" else "81"
    return _any(_bytes(first, last), _LONG + _bytes(middle, last))


_HIDDEN_DOT = _any(
    _ascii("2e"),
    _bytes("c0", "[26ae]e"),
    _LONG + _bytes("80", "ae"),
    _bytes("ef") + _any(_bytes("bc", "8e"), _bytes("b9", "92")),
    _bytes("e2", "80", "a[45]"),
    _unicode("ff0e|fe52|202[45]"),
)
_SEPARATOR = _any(
    r"[/\\]",
    _ascii("2f|5c"),
    _bytes("c0", "[26ae]f"),
    _bytes("c1", "[159d]c"),
    _LONG + _any(_bytes("80", "af"), _bytes("81", "9c")),
    _bytes("ef", "bc", "8f|bc"),
    _bytes("e2") + _any(_bytes("81", "84"), _bytes("88", "95")),
    _unicode("ff0f|ff3c|2044|2215"),
)
_BLANK = _any(
    # A space to decoders of forms.
    r"\+",
    _ascii("0[1-9a-f]|1[0-9a-f]|20|2b|7f|85|a0|ad"),
    _overlong("c0", "[048c][1-9a-f]|[159d][0-9a-f]|[26ae][0b]"),
    _overlong("c1", "[37bf]f"),
    _bytes("c2", "85|a0|ad"),
    _bytes("e2") + _any(_bytes("80", "8[0-9a-f]|a[89f]"), _bytes("81", "9f|a0")),
    _bytes("e1", "9a", "80"),
    _bytes("e3", "80", "80"),
    _bytes("ef", "bb", "bf"),
    _unicode("1680|200[0-9a-f]|202[89f]|205f|2060|3000|feff"),
)
_NUL = _any(_ascii("00"), _overlong("c0", "[048c]0"))
# Characters at which a server may cut off the rest of the segment, or of the path.
_CUT = _any(
    "[;?#]",
    _ascii("3b|3f|23|00"),
    _overlong("c0", "[37bf][bf]|[26ae]3|[048c]0"),
    _bytes("ef", "bc", "9b|9f|83"),
    _unicode("ff1b|ff1f|ff03"),
)
_COLON = _any(
    ":", _ascii("3a"), _overlong("c0", "[37bf]a"), _bytes("ef", "bc", "9a"), _unicode("ff1a")
)
_DOLLAR = _any(
    r"\$", _ascii("24"), _overlong("c0", "[26ae]4"), _bytes("ef", "bc", "84"), _unicode("ff04")
)
_STREAM = _COLON + _any(_COLON, _DOLLAR)
_AHEAD = rf"(?:{_BLANK}|{_NUL})*"
_REST = rf"(?:(?:{_SEPARATOR}|{_CUT}|{_STREAM}).*)?"
_FILLING = rf"(?:\.|{_HIDDEN_DOT}|{_BLANK})"
# /.../ is a name like any other, unless one of its dots is hidden, or has a space after it.
_DOTS = rf"{_AHEAD}(?:\.{{1,2}}|(?:\.+{_BLANK}|\.*{_HIDDEN_DOT}){_FILLING}*)"
# A percent sign whose own digits are encoded: no program encodes so, and a server that decodes
# often enough may read it as any character.
_PIECES = rf"{_PERCENT}(?:[0-9a-f]?|u[0-9a-f]{{0,3}}){_PERCENT}(?:u00)?(?:3[0-9]|[46][1-6]|[57]5)"


def dot_segments(path_prefix: str) -> str:
    """Matches paths below the prefix in which a server may read a segment as `.` or `..`.

    Yes: /..;x/a  /%252e%252e/a  /..%2f  /a%255c..  /..%00  /..%c0%80/a  /.%20./a  /..+/a
    /%25%32%65/a
    No:  /.../a   /v1..2/x   /.well-known/x   /a/.hidden   /..hidden   /file%20name   /a;v=1/b
    /a%3Bb   /job/a%252Fb   /100%25/a
    """
    return rf"{re.escape(path_prefix)}(?i:(?:.*{_SEPARATOR})?{_DOTS}{_REST}|.*{_PIECES}.*)"


def pieces(path_prefix: str) -> str:
    """Matches paths below the prefix with encodings that no regular expression can resolve, such as
    `%25%2532%2565` for a dot.
    """
    return rf"{re.escape(path_prefix)}(?i:.*{_PIECES}.*)"


def readings(path_prefix: str, *paths: Sequence[str]) -> str:
    """Matches paths below the prefix that a server may read as the segments of one of these paths,
    or as below them. What stands before and behind the segments is one part of the pattern, however
    many paths there are.

    payroll: yes: /PAYROLL/x  /payroll;a=b/x  /payroll%3b/x  /payroll%2e/x  /payroll%20/x
    /payroll%c0%80/x  /+payroll/x
                  /%2570ayroll/x  /;/payroll  /payroll
             no:  /payrolls/x  /my/payroll/x  /payroll-2/x  /payroll.json  /pay/roll
    """
    lead = (
        rf"(?:{_FILLING}*(?:{_SEPARATOR}|{_CUT}[^/]*/))*"
        rf"(?:{_FILLING}*{_CUT}[^/]*{_SEPARATOR})?{_AHEAD}"
    )
    tail = rf"{_FILLING}*"
    between = rf"{tail}(?:(?:{_CUT}|{_STREAM})[^/]*)?{_SEPARATOR}{lead}"
    names = "|".join(between.join(map(_name, segments)) for segments in paths)
    return rf"{re.escape(path_prefix)}(?i:{lead}(?:{names}){tail}{_REST})"


def _name(segment: str) -> str:
    """A segment, with the characters anywhere in it that URL parsers drop: tab, line feed, carriage
    return, and NUL.
    """
    dropped = _any(_ascii("0[09ad]"), _overlong("c0", "[048c][09ad]"))
    return rf"(?:{dropped})*".join(map(_character, segment))


@dataclass(frozen=True, slots=True)
class _OtherCase:
    """A letter outside of ASCII whose other case is ASCII: its encoded UTF-8, and as in IIS."""

    utf_8: str
    iis: str


_OTHER_CASES = {
    "i": _OtherCase(_bytes("c4", "b[01]"), "013[01]"),
    "k": _OtherCase(_bytes("e2", "84", "aa"), "212a"),
    "s": _OtherCase(_bytes("c5", "bf"), "017f"),
}


def _character(char: str) -> str:
    """An ASCII character in both cases: plain, encoded, overlong, fullwidth, and by letters whose
    other case it is.
    """
    codes = sorted({ord(char.lower()), ord(char.upper())})
    fullwidth = [chr(code - 0x20 + 0xFF00) for code in codes]
    last_byte = "|".join(f"{0x80 | code & 0x3F:02x}" for code in codes)
    iis = [f"{ord(wide):04x}" for wide in fullwidth]
    alternatives = [
        re.escape(char),
        _ascii("|".join(f"{code:02x}" for code in codes)),
        _bytes(f"{0xC0 | codes[0] >> 6:02x}", last_byte),
        _LONG + _bytes(f"{0x80 | codes[0] >> 6:02x}", last_byte),
        *(_bytes(*(f"{byte:02x}" for byte in wide.encode())) for wide in fullwidth),
    ]
    other = _OTHER_CASES.get(char.lower())
    if other is None:
        return _any(*alternatives, _unicode("|".join(iis)))
    return _any(*alternatives, _unicode("|".join([*iis, other.iis])), other.utf_8)
