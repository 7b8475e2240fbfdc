"""What of a user an application does not get, and why: for the operator's log."""

from collections.abc import Mapping
from dataclasses import dataclass

from extproc.core.application import Application
from extproc.core.oidc.claims import Claims, header_value, size_of


@dataclass(frozen=True, slots=True)
class Omission:
    """An identity header that an application does not get, although the provider has its claim.

    Attributes:
        header: the header, as the settings name it.
        claim: the claim, as the settings name it.
        detail: the cause, with the setting that changes it.
        is_fault: whether an operator has to do something about it.
    """

    header: str
    claim: str
    detail: str
    is_fault: bool = True


def omissions(application: Application, claims: Claims) -> tuple[Omission, ...]:
    """The identity headers that are left out of a user's requests."""
    sent = {header for header, _ in application.identity_headers(claims)}
    found = (
        _omission(application, claims, header, claim)
        for header, claim in application.identity
        if header not in sent
    )
    return tuple(omission for omission in found if omission is not None)


def _omission(application: Application, claims: Claims, header: str, claim: str) -> Omission | None:
    """Why a header is left out; None if the provider has nothing to say about its claim."""
    value = application.value(claims, header, claim)
    if not value and header in application.raw_headers and header_value(claims.get(claim)):
        return Omission(header, claim, _AMBIGUOUS)
    if not value:
        return Omission(header, claim, _ELSEWHERE) if _is_elsewhere(claims, claim) else None
    if application.is_too_long(value):
        return Omission(
            header,
            claim,
            f"it would have {size_of(value)} bytes; identity.max_header_bytes allows "
            f"{application.max_header_bytes}",
        )
    return Omission(header, claim, _UNVERIFIED, is_fault=False)


_ELSEWHERE = (
    "the provider keeps the claim elsewhere (_claim_names), as Entra does for users in very many "
    "groups: let it send fewer groups, or app roles (docs/providers.md)"
)
_AMBIGUOUS = (
    "with encoding raw an application could take the value for more than one, or for another: it "
    "has a comma, a character that cannot be seen or a blank at its ends, or is an object; leave "
    "encoding out"
)
_UNVERIFIED = "the provider does not send email_verified: true (setting providers.NAME.trust_email)"


def _is_elsewhere(claims: Claims, claim: str) -> bool:
    """Whether the provider names another place for a claim (OpenID Connect Core section 5.6.2)."""
    names = claims.values.get("_claim_names")
    return isinstance(names, Mapping) and claim.partition(".")[0] in names
