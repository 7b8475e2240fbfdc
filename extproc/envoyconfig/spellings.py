"""The spellings of a path that some server reads as another path (RE2 syntax): dot segments, and
the prefix of another application.

Envoy normalises a path once: it decodes what is unreserved (RFC 3986 section 2.3), resolves `.` and
`..`, merges `//`, takes `\\` for `/`, and refuses bytes that are no printable ASCII. By what is
left it chooses the route, and that it sends on. A server behind it may do more, so all of this is
looked for:

- it decodes once more, or until nothing is left to decode: `%252e`; also `%u002e` (IIS) and
  overlong UTF-8 (`%c0%ae`);
- it cuts `;...` off each segment (Tomcat, Jetty), before or after it decodes, or ends the path at
  an encoded NUL, `?` or `#`;
- it drops blanks and control characters around a segment, dots at its end, and the name of a stream
  (`::$DATA`; Windows);
- it takes `\\` for `/`, leaves empty segments out, and ignores case (IIS, Express);
- it takes for ASCII what Windows does (fullwidth forms, dot leaders) and the letters of which the
  other case is ASCII (long s, Kelvin). All other compatibility forms, such as mathematical letters,
  are left alone: no server is known to route by them.

Python's `re` reads these as well, for `extproc explain`, so nothing that repeats is ambiguous.
"""

import re
from collections.abc import Sequence

# An encoded percent sign counts as one, however often it is encoded.
_PERCENT = r"%(?:25|u0025)*"


def _ascii(digits: str) -> str:
    """A character below U+0100, encoded."""
    return rf"{_PERCENT}(?:u00)?(?:{digits})"


def _bytes(*digits: str) -> str:
    """A character as the bytes of its UTF-8, encoded."""
    return "".join(f"%(?:25)*(?:{each})" if "|" in each else f"%(?:25)*{each}" for each in digits)


def _unicode(digits: str) -> str:
    """A character as IIS encodes it."""
    return f"{_PERCENT}u(?:{digits})"


def _any(*alternatives: str) -> str:
    return "(?:" + "|".join(alternatives) + ")"


# What an overlong form of an ASCII character in three to six bytes begins with.
_LONG = _any(
    _bytes("e0"), _bytes("f0", "80"), _bytes("f8", "80", "80"), _bytes("fc", "80", "80", "80")
)


def _overlong(first: str, last: str) -> str:
    """ASCII characters as overlong UTF-8, by its first byte of two, and its last byte, whose high
    bits some decoders ignore.
    """
    return _any(_bytes(first, last), _LONG + _bytes("80" if first == "c0" else "81", last))


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
    r"\+",  # a blank to form decoders
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
# What a server may cut off a segment, or the path, with all that follows.
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
# /.../ is a name like any other, unless a dot of it is hidden, or a blank is to be dropped.
_DOTS = rf"{_AHEAD}(?:\.{{1,2}}|(?:\.+{_BLANK}|\.*{_HIDDEN_DOT}){_FILLING}*)"
# A percent sign whose own digits are encoded: no program encodes so, and who decodes often enough
# reads anything out of it.
_PIECES = rf"{_PERCENT}(?:[0-9a-f]?|u[0-9a-f]{{0,3}}){_PERCENT}(?:u00)?(?:3[0-9]|[46][1-6]|[57]5)"


def dot_segments(path_prefix: str) -> str:
    """Paths below the prefix in which a segment may be read as `.` or `..`.

    Yes: /..;x/a  /%252e%252e/a  /..%2f  /a%255c..  /..%00  /..%c0%80/a  /.%20./a  /..+/a
    /%25%32%65/a
    No:  /.../a   /v1..2/x   /.well-known/x   /a/.hidden   /..hidden   /file%20name   /a;v=1/b
    /a%3Bb   /job/a%252Fb   /100%25/a
    """
    return rf"{re.escape(path_prefix)}(?i:(?:.*{_SEPARATOR})?{_DOTS}{_REST}|.*{_PIECES}.*)"


def pieces(path_prefix: str) -> str:
    """Paths below the prefix that are encoded in a way which no regular expression can follow, as
    `%25%2532%2565` for a dot.
    """
    return rf"{re.escape(path_prefix)}(?i:.*{_PIECES}.*)"


def readings(path_prefix: str, segments: Sequence[str]) -> str:
    """Paths below the prefix that may be read as these segments below it, and what is below those.

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
    return rf"{re.escape(path_prefix)}(?i:{lead}{between.join(map(_name, segments))}{tail}{_REST})"


def _name(segment: str) -> str:
    """Without the characters that URL parsers drop wherever they are: tab, line feed, carriage
    return, and NUL.
    """
    return rf"(?:{_any(_ascii('0[09ad]'), _overlong('c0', '[048c][09ad]'))})*".join(
        map(_character, segment)
    )


_OTHER_CASE = {"i": _bytes("c4", "b[01]"), "k": _bytes("e2", "84", "aa"), "s": _bytes("c5", "bf")}
_OTHER_CASE_IIS = {"i": "013[01]", "k": "212a", "s": "017f"}


def _character(char: str) -> str:
    codes = sorted({ord(char.lower()), ord(char.upper())})
    wide = [chr(code - 0x20 + 0xFF00) for code in codes]
    high, low = (
        f"{0x80 | codes[0] >> 6:02x}",
        "|".join(f"{0x80 | code & 0x3F:02x}" for code in codes),
    )
    return _any(
        re.escape(char),
        _ascii("|".join(f"{code:02x}" for code in codes)),
        _bytes(f"{0xC0 | codes[0] >> 6:02x}", low),
        _LONG + _bytes(high, low),
        *(_bytes(*(f"{byte:02x}" for byte in each.encode())) for each in wide),
        _unicode(
            "|".join(
                [
                    *(f"{ord(each):04x}" for each in wide),
                    *filter(None, [_OTHER_CASE_IIS.get(char.lower())]),
                ]
            )
        ),
        *filter(None, [_OTHER_CASE.get(char.lower())]),
    )
