"""The regular expressions of Envoy's configuration (RE2 syntax).

Envoy matches a path without its query, and matches whole values. All patterns are made from names
in the settings.
"""

import re

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


def forgeable(header_prefix: str) -> str:
    """Matches every header name that an upstream may read as one with the identity prefix.

    CGI, WSGI and PHP turn `-` into `_`, and some of them every character that is neither a letter
    nor a digit.
    """
    characters = (character if character.isalnum() else "[^a-z0-9]" for character in header_prefix)
    return "".join(characters) + ".*"
