"""The regular expressions of the data plane (RE2 syntax), each with what it must and must not
match.

Envoy matches a path without its query, and a whole value. All of it is made from names in the
settings.
"""

import re

_LETTER = r"[A-Za-z0-9_~!$&'()*+,=:@-]"
_MORE = r"%[89ABab][0-9A-Fa-f]"
# well-formed UTF-8 (RFC 3629 section 4), percent-encoded: an overlong slash (%C0%AF) is none
_UTF8 = "|".join(
    (
        rf"%(?:[Cc][2-9A-Fa-f]|[Dd][0-9A-Fa-f]){_MORE}",
        rf"%[Ee](?:0%[ABab][0-9A-Fa-f]|[1-9A-Fa-f]{_MORE}){_MORE}",
        rf"%[Ff](?:0%[9ABab][0-9A-Fa-f]|[1-3]{_MORE}|4%8[0-9A-Fa-f]){_MORE}{_MORE}",
    )
)
# A dot that leads a segment is followed by a letter sooner or later: some servers drop blanks, and
# ..%20 or ..+ is .. to them.
_FIRST = _LETTER.replace("+", "")
_LEAD = rf"(?:[.+]|{_UTF8})*"
_SEGMENT = rf"(?:{_LEAD}{_FIRST}(?:{_LETTER}|\.|%20|{_UTF8})*|(?:{_UTF8})(?:%20|{_UTF8})*|\.*)"
# uri-host and port (RFC 9110 section 7.2), names as DNS has them
AUTHORITY = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{0,5})?"
ESCAPED_SLASH = r"%(?:2[Ff]|5[Cc])"


def public(path: str) -> str:
    """A public path by whole segments: /robots.txt is that and what is below it, /public/ all below
    it.

    Only paths that every upstream reads as Envoy does: no `;` (some servers cut path parameters off
    before they resolve `..;`), no encoded slash, dot, semicolon, percent or control character.
    Others are not refused: just not public.
    """
    below = rf"(?:/{_SEGMENT})"
    return (
        re.escape(path[:-1]) + f"{below}+" if path.endswith("/") else re.escape(path) + f"{below}*"
    )


def escaped_slashes(path_prefix: str) -> str:
    """Paths below the prefix with %2F or %5C in them."""
    return f"{re.escape(path_prefix)}.*{ESCAPED_SLASH}.*"


def forgeable(header_prefix: str) -> str:
    """Every header name that an upstream may read as one with the identity prefix.

    CGI, WSGI and PHP turn `-` and, some of them, every other character that is no letter or digit
    into `_`.
    """
    return "".join(c if c.isalnum() else "[^a-z0-9]" for c in header_prefix) + ".*"
