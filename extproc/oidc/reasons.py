"""The reasons of answers that are in use, until the table of reasons takes their place."""

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
_SESSIONS = ("session", "session_unasserted", "signed_in", "signed_out", "signed_out_frontchannel", "userinfo")


def _refusals(of: type[OIDCError]) -> Iterator[str]:
    yield of.reason
    for more in of.__subclasses__():
        yield from _refusals(more)


REASONS = frozenset((*_ANSWERS, *_SESSIONS, *_refusals(OIDCError), *(f"provider_{error}" for error in PROVIDER_ERRORS)))
