"""Claims: JSON of other parties read strictly, a user's claims, and their encoding in headers."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

# Printable ASCII without "%" (the escape) and "," (the separator); a blank only inside. Every other
# character is percent-encoded UTF-8.
_SAFE = " !\"#$&'()*+-./:;<=>?@[\\]^_`{|}~"


class _Refused(ValueError):
    """A document that is refused in the fixed words of this module."""


def parse_object(text: bytes | str) -> Mapping[str, Any]:
    """Parse a JSON object with unique keys and finite numbers.

    A number that is too large for a float, such as 1e400, is read as null: nothing else that reads
    these values, and no JSON that is written of them, knows an infinite number.

    Raises ValueError, whose text holds nothing of the input.
    """

    def unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise _Refused("a key stands twice")
        return members

    def refuse(_: str) -> Any:
        raise _Refused("NaN and Infinity are no JSON")

    def finite(digits: str) -> float | None:
        return number(float(digits))

    try:
        value = json.loads(
            text, object_pairs_hook=unique, parse_constant=refuse, parse_float=finite
        )
    except _Refused as error:
        raise ValueError(str(error)) from None
    except (ValueError, RecursionError):
        # Python has further errors of its own, for an integer of more than 4,300 digits for one,
        # and their texts say what the input was.
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    return value


def number(value: object) -> float | None:
    """The value if it is a finite JSON number; otherwise None, also for a boolean and for 1e400."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def overlaid(claims: Mapping[str, Any], newer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Claims, overridden by newer ones of another source.

    `email` and `email_verified` are one statement: a source that confirms an address confirms only
    the address that it names itself. What one source has confirmed stays confirmed while another
    names the same address and does not say otherwise.
    """
    kept = dict(claims)
    if "email" in newer:
        if newer["email"] != kept.get("email"):
            kept.pop("email_verified", None)
    elif "email" in kept and email_is_verified(newer):
        newer = {name: value for name, value in newer.items() if name != "email_verified"}
    return {**kept, **newer}


def email_is_verified(claims: Mapping[str, Any]) -> bool:
    """Whether the provider confirms the claim `email` (OpenID Connect Core section 5.1).

    AWS Cognito sends the boolean as text.
    """
    verified = claims.get("email_verified")
    return verified is True or (isinstance(verified, str) and verified.lower() == "true")


@dataclass(frozen=True, slots=True)
class Claims:
    """A user's claims: a JSON object that is kept whole, and read by name or by path."""

    values: Mapping[str, Any] = field(repr=False)

    def get(self, path: str) -> Any:
        """The claim of exactly this name, or else the one inside nested objects
        (realm_access.roles); None if there is neither.
        """
        if path in self.values:
            return self.values[path]
        value: Any = self.values
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def json(self) -> str:
        """The claims as compact ASCII JSON."""
        return json.dumps(dict(self.values), separators=(",", ":"), ensure_ascii=True)


def header_value(value: object) -> str:
    """Encode a claim as a header value; "" if the claim is absent, null or empty.

    To read it back, split at ",", then percent-decode each part as UTF-8. Text is one part, and a
    list has a part for each element; numbers, booleans and objects are their JSON. CR, LF, NUL,
    commas, percent signs and non-ASCII characters are always encoded, so no claim can end a header,
    split a value or add a group.
    """
    if isinstance(value, list | tuple):
        return ",".join(part for part in map(_part, value) if part)
    return _part(value)


def raw_header_value(value: object) -> str:
    """A claim as a header value in plain UTF-8, for applications that decode nothing; "" if the
    claim is absent, null or empty, or if an application could take the value for another one.

    That is a value with a comma, which separates the elements of a list, with a character that
    cannot be seen (Unicode's categories Other and Separator, but for the blank), or with a blank at
    its ends, which HTTP trims; a list with such an element; and an object.
    """
    elements = value if isinstance(value, list | tuple) else [value]
    parts = [_raw_part(each) for each in elements if each is not None and each != ""]
    return ",".join(part for part in parts if part) if all(parts) else ""


def _raw_part(value: object) -> str:
    if isinstance(value, bool | int | float):
        return _part(value)
    if not isinstance(value, str) or "," in value or value != value.strip(" "):
        return ""
    return value if value.isprintable() else ""


def size_of(value: str) -> int:
    """How many bytes a header's value has."""
    return len(value) if value.isascii() else len(value.encode())


def _part(value: object) -> str:
    if value is None:
        return ""
    # 1e400 in the provider's JSON is infinite, and no number
    if isinstance(value, float) and number(value) is None:
        return ""
    if isinstance(value, str):
        text = value
    else:
        text = json.dumps(value, separators=(",", ":"), sort_keys=True)
    encoded = quote(text.encode("utf-8", "surrogatepass"), safe=_SAFE)
    inner = encoded.strip(" ")
    if inner == encoded:
        return encoded
    # HTTP itself trims blanks at the ends, so they are encoded
    leading = len(encoded) - len(encoded.lstrip(" "))
    trailing = len(encoded) - len(encoded.rstrip(" "))
    return "%20" * leading + inner + ("%20" * trailing if inner else "")
