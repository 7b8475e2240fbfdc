"""JSON of others read strictly, claims as values, and the one encoding of claims in headers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

# Printable ASCII but "%" (our escape) and "," (our separator); a blank only inside. Everything else
# is percent-encoded UTF-8.
_SAFE = " !\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"


def parse_object(text: bytes | str) -> Mapping[str, Any]:
    """A JSON object with unique keys and finite numbers. Raises ValueError, whose text holds
    nothing of the input.
    """

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key stands twice")
        return found

    def refuse(_: str) -> Any:
        raise ValueError("NaN and Infinity are no JSON")

    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def number(value: object) -> float | None:
    """A finite JSON number, or None: a boolean is none, nor is 1e400."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


@dataclass(frozen=True, slots=True)
class Claims:
    """What a provider says of a user: a JSON object, kept whole, read by name or by path."""

    values: Mapping[str, Any] = field(repr=False)

    def get(self, path: str) -> Any:
        """The claim of this very name, or, with dots, the one inside objects (realm_access.roles);
        None when absent.
        """
        if path in self.values:
            return self.values[path]
        found: Any = self.values
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def json(self) -> str:
        return json.dumps(dict(self.values), separators=(",", ":"), ensure_ascii=True)


def header_value(value: object) -> str:
    """A claim as a header value; "" where there is nothing to say (absent, null, empty).

    One rule to read it back: split at ",", then percent-decode each part as UTF-8. Text is one
    part, a list has a part for each element; numbers, booleans and objects are their JSON. CR, LF,
    NUL, commas, percent signs and non-ASCII are always encoded, so no claim can end a header, split
    a value or smuggle in a group.
    """
    if isinstance(value, list | tuple):
        return ",".join(part for part in map(_part, value) if part)
    return _part(value)


def _part(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and number(value) is None:
        return ""  # 1e400 in the provider's JSON: no number
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, separators=(",", ":"), sort_keys=True)
    )
    encoded = quote(text.encode("utf-8", "surrogatepass"), safe=_SAFE)
    inner = encoded.strip(" ")
    if inner == encoded:
        return encoded
    # blanks at the ends are trimmed by HTTP itself, so they are encoded
    lead, trail = len(encoded) - len(encoded.lstrip(" ")), len(encoded) - len(encoded.rstrip(" "))
    return "%20" * lead + inner + ("%20" * trail if inner else "")
