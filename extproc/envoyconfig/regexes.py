"""The regular expressions of Envoy's configuration (RE2 syntax).

Envoy matches a path without its query, and matches whole values. All patterns are made from names
in the settings.
"""

import re
from collections.abc import Iterator, Sequence

from extproc.settings.client_headers import (
    COMMAND_PREFIXES,
    COMMANDS,
    DESCRIPTIONS,
    FORWARDED,
    OF_ENVOY,
)

# RE2 instructions of a pattern. Envoy's default of 100 is for patterns of unknown origin; the
# generated ones grow with the settings.
MAX_PROGRAM = 100_000
# What an application may read as the hyphen of a header's name.
_SIGN = "[^a-z0-9]"
_LETTER = r"[A-Za-z0-9_~!$&'()*+,=:@-]"
_MORE = r"%[89ABab][0-9A-Fa-f]"
# Well-formed UTF-8 (RFC 3629 section 4), percent-encoded; an overlong slash (%C0%AF) is not, nor is
# half of a surrogate pair (%ED%A0%80).
_UTF8 = "|".join(
    (
        rf"%(?:[Cc][2-9A-Fa-f]|[Dd][0-9A-Fa-f]){_MORE}",
        rf"%[Ee](?:0%[ABab][0-9A-Fa-f]|[Dd]%[89][0-9A-Fa-f]|[1-9A-CEFa-cef]{_MORE}){_MORE}",
        rf"%[Ff](?:0%[9ABab][0-9A-Fa-f]|[1-3]{_MORE}|4%8[0-9A-Fa-f]){_MORE}{_MORE}",
    )
)
# Dots at the head of a segment have a letter somewhere after them, because some servers drop spaces
# and read ..%20 or ..+ as `..`.
_FIRST = _LETTER.replace("+", "")
_LEAD = rf"(?:[.+]|{_UTF8})*"
_SEGMENT = rf"(?:{_LEAD}{_FIRST}(?:{_LETTER}|\.|%20|{_UTF8})*|(?:{_UTF8})(?:%20|{_UTF8})*|\.*)"
# uri-host and port (RFC 9110 section 7.2), with names as DNS has them.
AUTHORITY = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?"
ESCAPED_SLASH = r"%(?:2[Ff]|5[Cc])"


def public(path: str) -> str:
    """Matches a public path by whole segments.

    /robots.txt matches itself and paths below it, /public/ only paths below it. It matches only
    paths that every upstream reads as Envoy does: without `;` (some servers cut path parameters off
    before they resolve `..;`), and without an encoded slash, dot, semicolon, percent sign or
    control character. Other paths are not refused, but they are not public.
    """
    below = rf"(?:/{_SEGMENT})"
    if path.endswith("/"):
        return re.escape(path[:-1]) + f"{below}+"
    return re.escape(path) + f"{below}*"


def escaped_slashes(path_prefix: str) -> str:
    """Matches paths below the prefix that contain %2F or %5C."""
    return f"{re.escape(path_prefix)}.*{ESCAPED_SLASH}.*"


def removed(kept: Sequence[str], *, trusted: bool) -> str:
    """Matches the names of the headers that no client may send to an application, in every spelling
    that an application may fold (see `forgeable`).

    Args:
        kept: the names that a client may send all the same.
        trusted: a proxy in front of Envoy describes the client, so what describes one passes, but
            only as that proxy spells it.
    """
    further = [name.removeprefix(FORWARDED) for name in kept if name.startswith(FORWARDED)]
    patterns = [_folded(name) for name in COMMANDS if name not in kept]
    patterns += [_folded(prefix) + ".*" for prefix in COMMAND_PREFIXES]
    patterns += [f"x[^a-z0-9-]forwarded(?:{_SIGN}.*)?", "x-forwarded[^a-z0-9-].*"]
    if trusted:
        patterns += [odd for name in DESCRIPTIONS for odd in _odd_spellings(name)]
    else:
        patterns += [_folded(name) for name in DESCRIPTIONS if name not in kept]
        patterns.append(FORWARDED + _all_but([*OF_ENVOY, *further]))
    return "|".join(patterns)


def _folded(name: str) -> str:
    """Matches a header's name with any signs in place of its hyphens."""
    return name.replace("-", _SIGN)


def _odd_spellings(name: str) -> Iterator[str]:
    """Match a header's name with any signs in place of its hyphens, of which one is no hyphen."""
    words = name.split("-")
    for at in range(1, len(words)):
        yield "-".join(words[:at]) + "[^a-z0-9-]" + _SIGN.join(words[at:])


def _all_but(words: Sequence[str]) -> str:
    """Matches every text but these words; RE2 has no lookahead."""
    firsts = sorted({word[0] for word in words if word})
    branches = [f"[^{re.escape(''.join(firsts))}].*" if firsts else ".+"]
    branches += [
        re.escape(first) + _all_but([word[1:] for word in words if word[:1] == first])
        for first in firsts
    ]
    empty = "" if "" in words else "?"
    return f"(?:{'|'.join(branches)}){empty}"


def forgeable(header_prefix: str, further: Sequence[str] = ()) -> str:
    """Matches every header name that an upstream may read as an identity header.

    CGI, WSGI and PHP turn `-` into `_`, and some of them every character that is neither a letter
    nor a digit.

    Args:
        header_prefix: how identity headers begin.
        further: names of others.
    """
    return "|".join((_folded(header_prefix) + ".*", *map(_folded, further)))
