"""Settings of the identity that applications receive."""

import re
from typing import Self

from pydantic import Field, model_validator

from extproc.settings.types import Duration, Model


class Identity(Model):
    """Which claims reach the application in which headers, and how long Envoy trusts an
    assertion.
    """

    header_prefix: str = Field(
        "x-auth-",
        pattern=r"^x-[a-z0-9-]*-$",
        description="prefix of the identity headers; Envoy removes every client header with it",
    )
    headers: dict[str, str] = Field(
        {
            "x-auth-sub": "sub",
            "x-auth-email": "email",
            "x-auth-name": "name",
            "x-auth-groups": "groups",
        },
        description="headers and their claims, as header: claim; a dot in a claim's name reads "
        "from within an object, such as realm_access.roles. Only email needs the provider's "
        "confirmation (trust_email): phone_number is sent without phone_number_verified as well, "
        "so map both, or let no application know its users by it",
    )
    max_header_bytes: int | None = Field(
        None,
        ge=3072,
        le=16_384,
        description="maximum size of one identity header in bytes; a longer one is left out, and "
        "the log names it (header_left_out). Default: the headers may have 16384 bytes together, "
        "and a login that would have more is refused",
    )
    assertion_lifetime: Duration = Field(
        60,
        description="how long Envoy lets a user through without asking the processor; 0: Envoy "
        "always asks",
    )
    keys_refresh: Duration = Field(
        10,
        description="how often Envoy fetches the keys of assertions; a new key of the ring is "
        "published for this long before it encrypts and signs",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        for header, claim in self.headers.items():
            if not re.fullmatch(r"[a-z0-9-]+", header) or not header.startswith(self.header_prefix):
                raise ValueError(
                    f"headers: {header[:80]!r} is not a lower-case header name that begins "
                    f"with header_prefix {self.header_prefix}"
                )
            if not claim:
                raise ValueError(f"headers.{header}: the claim's name is missing")
        if self.headers.get(self.subject_header) != "sub":
            raise ValueError(
                f"headers must have {self.subject_header}: sub, by which Envoy knows that the "
                "user is signed in"
            )
        if 0 < self.assertion_lifetime < 8 or self.assertion_lifetime > 3600:
            raise ValueError("assertion_lifetime is 0, or 8 s to 1 h")
        if not 1 <= self.keys_refresh <= 3600:
            raise ValueError("keys_refresh is 1 s to 1 h")
        return self

    @property
    def subject_header(self) -> str:
        """The header with the claim `sub`."""
        return self.header_prefix + "sub"
