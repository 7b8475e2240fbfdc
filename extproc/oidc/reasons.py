"""The reasons of answers that are in use. The table of reasons (the package of this name) takes the place of this file."""

from collections.abc import Iterator

from extproc.oidc.errors import PROVIDER_ERRORS, OIDCError

_ANSWERS = (
    "already_signed_in",
    "backchannel_logout",
    "canonical_host",
    "login_started",
    "logout_confirmation",
    "public",
)
_SESSIONS = ("session", "session_unasserted", "signed_in", "signed_out", "userinfo")
_OF_BOTH = (
    "algorithm",
    "audience",
    "expired",
    "header",
    "issued_at",
    "issuer",
    "key",
    "malformed",
    "nonce",
    "not_before",
)
_CHECKS = (*_OF_BOTH, "at_hash", "auth_time", "events", "jti", "replayed", "sid", "signature", "subject", "type")


def _refusals(of: type[OIDCError]) -> Iterator[str]:
    yield of.reason
    for more in of.__subclasses__():
        yield from _refusals(more)


REASONS = frozenset(
    (
        *_ANSWERS,
        *_SESSIONS,
        *_refusals(OIDCError),
        *(f"provider_{error}" for error in (*PROVIDER_ERRORS, "error")),
        *(f"{token}_{check}" for token in ("id_token", "logout_token") for check in _CHECKS),
    )
)
