"""Settings of `allow`: who may use an application, or make the requests of a rule."""

import re
from typing import Annotated, Self

from pydantic import (
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    model_validator,
)

from extproc.core.access_values import email_address, email_domain
from extproc.settings.demand import check_acr_values, check_max_age
from extproc.settings.expression import check_expression
from extproc.settings.types import Duration, Model

# Claims that are no conditions by themselves, and what to write in their place.
_OTHERWISE = {
    "email": "write emails or email_domains, which count a verified address alone",
    "email_verified": "emails and email_domains ask for it",
    "acr": "write acr_values",
    "auth_time": "write max_age",
    "sub": "write users",
    "iss": "write providers",
}
_SCOPES = r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*"
Value = StrictStr | StrictBool | StrictInt | StrictFloat
Texts = Annotated[tuple[StrictStr, ...], Field(min_length=1)]


class AllowSettings(Model):
    """One entry of an `allow`: every key that is set has to hold, by one of its values."""

    users: Texts | None = Field(None, description="users, by the claim sub")
    emails: Texts | None = Field(
        None, description="email addresses that the provider has verified, in any case"
    )
    email_domains: Texts | None = Field(
        None,
        description="domains of email addresses that the provider has verified, such as "
        "example.com; subdomains do not count",
    )
    unverified_email: bool = Field(
        False,
        description="emails and email_domains count addresses that the provider has not verified, "
        "which at many providers users choose themselves",
    )
    groups: Texts | None = Field(
        None, description="groups, as the provider names them in the claim groups_claim"
    )
    claims: dict[StrictStr, Annotated[tuple[Value, ...], Field(min_length=1)]] | None = Field(
        None,
        description="values by the name of a claim, or by its path, such as realm_access.roles; a "
        "list has to have one of them",
    )
    expression: StrictStr | None = Field(
        None,
        description="expression in CEL about the user's claims, such as claims.level >= 3; where "
        "its evaluation fails, because a claim is missing for one, it does not hold",
    )
    acr_values: Texts | None = Field(
        None,
        description="acr values of which the login has one; where only that is missing, the user "
        "signs in again with them",
    )
    max_age: Duration | None = Field(
        None,
        ge=60,
        description="maximum time since the user authenticated at the provider, 1m or more; where "
        "only that is missing, the user signs in again",
    )
    providers: Texts | None = Field(None, description="names in providers")
    scopes: Texts | None = Field(
        None,
        description="scopes of an access token (rules.accept); a value with blanks is several "
        "scopes, of which none may be missing",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        conditions = self.model_dump(exclude={"unverified_email"}, exclude_none=True)
        if not conditions or self.claims == {}:
            raise ValueError(
                "an entry without a condition would admit everybody who signs in; leave out allow "
                "for that"
            )
        if self.unverified_email and self.emails is None and self.email_domains is None:
            raise ValueError("unverified_email goes with emails or email_domains")
        for email in self.emails or ():
            if email_address(email) is None:
                raise ValueError(f"emails: {email[:80]!r} is not an address such as a@example.com")
        for domain in self.email_domains or ():
            if domain.startswith("@") or email_domain(domain) is None:
                raise ValueError(
                    f"email_domains: {domain[:80]!r} is not a domain such as example.com"
                )
        for claim in _OTHERWISE.keys() & (self.claims or {}).keys():
            raise ValueError(f"claims: {claim} is no condition here; {_OTHERWISE[claim]}")
        for scope in self.scopes or ():
            if not re.fullmatch(_SCOPES, scope):
                raise ValueError(
                    f"scopes: {scope[:80]!r} is no scope such as orders:read, nor several with "
                    "one blank between them (RFC 6749 section 3.3)"
                )
        if self.expression is not None:
            check_expression(self.expression)
        check_acr_values(self.acr_values or ())
        if self.max_age is not None:
            check_max_age(self.max_age)
        return self


def _shape(value: object) -> str:
    return "entries" if isinstance(value, list | tuple) else "entry"


_Entries = Annotated[
    Annotated[AllowSettings, Tag("entry")]
    | Annotated[tuple[AllowSettings, ...], Field(min_length=1), Tag("entries")],
    Discriminator(_shape),
]
Allow = _Entries | None


def entries_of(allow: Allow) -> tuple[AllowSettings, ...]:
    """The entries of an `allow`, which may be written without a list if it is one; none without
    an `allow`.
    """
    return (allow,) if isinstance(allow, AllowSettings) else allow or ()


def check_allow(fields: set[str], allow: Allow) -> None:
    """Check that an `allow` which is written has a value: one whose entries are commented out would
    admit everybody. Raises ValueError.

    Args:
        fields: the keys that are written.
        allow: the value.
    """
    if "allow" in fields and allow is None:
        raise ValueError("allow is empty; give it an entry, or leave it out to admit everybody")
