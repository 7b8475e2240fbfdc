"""Settings of access to an application: who may use it (`allow`), and the rules of its paths."""

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Annotated, Literal, Self

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

from extproc.core.access_rules import METHODS, covers
from extproc.core.access_values import email_address, email_domain
from extproc.settings.demand import check_acr_values, check_max_age
from extproc.settings.types import Duration, Model, Name, Network

MAXIMUM_RULES = 100
_DIGEST = 16  # hexadecimal digits
# Claims that are no conditions by themselves, and what to write in their place.
_OTHERWISE = {
    "email": "write emails or email_domains, which count a verified address alone",
    "email_verified": "emails and email_domains ask for it",
    "acr": "write acr_values",
    "auth_time": "write max_age",
    "sub": "write users",
    "iss": "write providers",
}
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


class RuleSettings(Model):
    """One rule: the requests that it takes, and who may make them."""

    name: Name = Field(description="name of the rule, in logs, spans and `extproc explain`")
    paths: Texts = Field(
        description="paths that it takes, by whole segments: /admin/ is /admin and everything "
        "below it"
    )
    methods: tuple[Literal[METHODS], ...] = Field(  # type: ignore[valid-type]
        (), description="methods that it takes; GET includes HEAD; default: all"
    )
    allow: Allow = Field(
        None,
        description="who may make the request: one entry, or a list of which one has to hold; "
        "`allow` of the application has to hold as well",
    )
    login: Literal["required", "optional", "none"] = Field(
        "required",
        description="required: only a signed-in user passes. optional: everybody passes, and a "
        "signed-in user whom allow admits with identity headers. none: everybody passes, without "
        "identity headers, and the processor is not called",
    )
    deny: bool = Field(False, description="every request is answered 403")
    networks: tuple[Network, ...] = Field(
        (),
        description="networks of the clients whose requests pass at all, by the address after "
        "gateway.trusted_hops; default: any",
    )
    max_claims_age: Duration | None = Field(
        None,
        ge=60,
        description="maximum age of the user's claims, 1m or more: older ones are renewed with the "
        "tokens, or by a login; default: as old as they are",
    )
    mode: Literal["enforce", "shadow"] = Field(
        "enforce",
        description="shadow: the rule decides nothing; what it would have refused is logged and "
        "counted",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = self.model_fields_set
        check_allow(given, self.allow)
        empty = {"methods": not self.methods, "networks": not self.networks}
        for key in given & {key for key, is_empty in empty.items() if is_empty}:
            raise ValueError(f"{key} is an empty list, which would be any; leave it out")
        if self.deny and given & {"allow", "login", "networks", "max_claims_age"}:
            raise ValueError(
                "deny: true goes with none of allow, login, networks, max_claims_age: it refuses "
                "everybody"
            )
        if self.login == "none" and (self.allow or self.max_claims_age is not None):
            raise ValueError(
                "login: none goes with neither allow nor max_claims_age: nobody is asked who they "
                "are"
            )
        if self.mode == "shadow" and (self.login != "required" or self.networks):
            raise ValueError(
                "mode: shadow goes with neither login nor networks: it tries who would be refused"
            )
        if self.max_claims_age is not None and self.max_claims_age != int(self.max_claims_age):
            raise ValueError("max_claims_age is whole seconds")
        return self


def check_path(key: str, path: str, path_prefix: str, endpoints: str) -> None:
    """Check a path of the settings below an application's path_prefix. Raises ValueError.

    Args:
        key: the key of the path.
        path: the path.
        path_prefix: the path_prefix of the application.
        endpoints: where the processor's endpoints are, below path_prefix.
    """
    plain = re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+/?|/", path)
    if not plain or not f"{path}/".startswith(path_prefix) or has_dots(path):
        raise ValueError(
            f"{key}: {path[:80]!r} is not a plain path below path_prefix {path_prefix}"
        )
    if f"{path}/".startswith(path_prefix + endpoints):
        raise ValueError(f"{key}: {path[:80]!r} is where the processor's own endpoints are")


def has_dots(path: str) -> bool:
    """Whether a path has a segment `.` or `..`."""
    return any(segment in (".", "..") for segment in path.split("/"))


def check_rules(
    rules: tuple[RuleSettings, ...], public_paths: Iterable[str], path_prefix: str, endpoints: str
) -> None:
    """Check the rules of one application together. Raises ValueError.

    Args:
        rules: the rules, in order.
        public_paths: the application's public_paths, of which none may meet a path of a rule: it
            would be unclear which of the two counts.
        path_prefix: the application's path_prefix.
        endpoints: where the processor's endpoints are, below path_prefix.
    """
    if len(rules) > MAXIMUM_RULES:
        raise ValueError(f"rules are {MAXIMUM_RULES} at most; there are {len(rules)}")
    names = sorted(rule.name for rule in rules)
    for one, other in pairwise(names):
        if one == other:
            raise ValueError(f"rules: the name {one} stands twice")
    for rule in rules:
        for path in rule.paths:
            check_path(f"rules.{rule.name}.paths", path, path_prefix, endpoints)
            met = next((each for each in public_paths if _meet(each, path)), None)
            if met is not None:
                raise ValueError(
                    f"rules.{rule.name}.paths: {path} and {met} of public_paths overlap; leave one "
                    "of them out, or make the public one a rule with login: optional"
                )


def check_spellings(rules: tuple[RuleSettings, ...]) -> None:
    """Check that no two paths of rules are one path to an upstream that ignores case
    (upstream_paths: folds). Raises ValueError.
    """
    paths = sorted({path for rule in rules for path in rule.paths})
    for one, other in combinations(paths, 2):
        apart = not covers(one, other) and not covers(other, one)
        if apart and _meet(one, other):
            raise ValueError(
                f"rules: an upstream may read {one} as {other}; write both in the same case, or "
                "set upstream_paths: exact if it does not"
            )


def _meet(one: str, other: str) -> bool:
    """Whether one of two paths is at or below the other, in whatever case an upstream reads it."""
    first, second = (path.lower().rstrip("/") + "/" for path in (one, other))
    return first.startswith(second) or second.startswith(first)


def access_digest(
    allow: Allow, rules: tuple[RuleSettings, ...], public_paths: Iterable[str]
) -> str:
    """What Envoy and the processor have to agree on about access; "" where nothing is said."""
    if not allow and not rules:
        return ""
    agreed = [
        [entry.model_dump(mode="json") for entry in entries_of(allow)],
        [rule.model_dump(mode="json") for rule in rules],
        sorted(public_paths),
    ]
    text = json.dumps(agreed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
