"""Settings of the rules of an application's paths."""

import hashlib
import json
import re
from collections.abc import Iterable
from itertools import combinations, pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from extproc.core.access_rules import METHODS, covers
from extproc.settings.allow import Allow, Texts, check_allow, entries_of
from extproc.settings.client_certificate import ClientCertificate
from extproc.settings.types import Duration, Model, Name, Network

MAXIMUM_RULES = 100
_DIGEST = 16  # hexadecimal digits


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
    accept: tuple[Literal["session", "bearer"], ...] = Field(
        ("session",),
        description="what says who makes a request. session: the cookie of a signed-in browser; "
        "bearer: an access token in the header Authorization (docs/api-callers.md). With both, a "
        "request with a bearer token is decided by it alone",
    )
    deny: bool = Field(False, description="every request is answered 403")
    networks: tuple[Network, ...] = Field(
        (),
        description="networks of the clients whose requests pass at all, by the address after "
        "gateway.trusted_hops; default: any",
    )
    client_certificate: ClientCertificate | None = Field(
        None,
        description="the TLS certificate of the clients whose requests pass at all; it needs "
        "gateway.tls.client_ca_file; default: any, and none",
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
        empty = {
            "methods": not self.methods,
            "networks": not self.networks,
            "accept": not self.accept,
        }
        for key in given & {key for key, is_empty in empty.items() if is_empty}:
            raise ValueError(f"{key} is an empty list; leave it out for the default")
        if "client_certificate" in given and self.client_certificate is None:
            raise ValueError("client_certificate is empty, which would be any; leave it out")
        refused = {"allow", "login", "networks", "client_certificate", "max_claims_age", "accept"}
        if self.deny and given & refused:
            raise ValueError(
                "deny: true goes with none of allow, login, networks, client_certificate, "
                "max_claims_age, accept: it refuses everybody"
            )
        asks = self.allow or self.max_claims_age is not None or "accept" in given
        if self.login == "none" and asks:
            raise ValueError(
                "login: none goes with none of allow, max_claims_age, accept: nobody is asked who "
                "they are"
            )
        if len(set(self.accept)) < len(self.accept):
            raise ValueError("accept names a value twice")
        by_envoy = bool(self.networks) or self.client_certificate is not None
        beside = self.login != "required" or by_envoy or "accept" in given
        if self.mode == "shadow" and beside:
            raise ValueError(
                "mode: shadow goes with none of login, networks, client_certificate, accept: it "
                "tries who would be refused"
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
