"""Times in signed tokens: exp, iat, nbf and auth_time (RFC 7519 section 4.1).

Each is a JSON number of seconds since the epoch. leeway: seconds by which the provider's clock may
differ. Every function raises InvalidIDToken, whose text says how far the clocks are apart.
"""

from collections.abc import Mapping
from typing import Any

from extproc.core.oidc.claims import number
from extproc.core.provider_errors import InvalidIDToken

# seconds that are counted in the text of an error: a year
_COUNTED = 31_536_000


def check_expires(claims: Mapping[str, Any], now: float, leeway: float) -> float:
    """Check exp, which is required, and return it."""
    expires = number(claims.get("exp"))
    if expires is None:
        raise InvalidIDToken("expired", "exp is missing or no number")
    if now >= expires + leeway:
        raise InvalidIDToken("expired", f"exp was {distance(now - expires, leeway)}")
    return expires


def check_issued(claims: Mapping[str, Any], now: float, leeway: float) -> float:
    """Check that iat, which is required, is not in the future, and return it."""
    issued = number(claims.get("iat"))
    if issued is None:
        raise InvalidIDToken("issued_at", "iat is missing or no number")
    if issued > now + leeway:
        raise InvalidIDToken("issued_at", f"iat is {distance(now - issued, leeway)}")
    return issued


def check_not_before(claims: Mapping[str, Any], now: float, leeway: float) -> None:
    """Check nbf, if there is one."""
    if "nbf" not in claims:
        return
    not_before = number(claims["nbf"])
    if not_before is None:
        raise InvalidIDToken("not_before", "nbf is no number")
    if not_before > now + leeway:
        raise InvalidIDToken("not_before", f"nbf is {distance(now - not_before, leeway)}")


def check_auth_time(claims: Mapping[str, Any], latest: float) -> int | None:
    """Read auth_time, which no token may have in the future; None if there is none.

    latest: seconds since the epoch, with the leeway of the clocks.
    """
    if "auth_time" not in claims:
        return None
    auth_time = number(claims["auth_time"])
    if auth_time is None:
        raise InvalidIDToken("malformed", "auth_time is no number")
    if auth_time > latest:
        raise InvalidIDToken("auth_time", "auth_time is in the future; check both clocks")
    return int(auth_time)


def distance(ago: float, leeway: float) -> str:
    """How far a time is from now, as far as it can be meant, and what to compare."""
    # A claim may be any number, also one with hundreds of digits.
    seconds = f"{abs(ago):.0f} s" if abs(ago) < _COUNTED else "years"
    direction = "ago" if ago >= 0 else "in the future"
    return f"{seconds} {direction}; leeway {leeway:g} s; check both clocks"
