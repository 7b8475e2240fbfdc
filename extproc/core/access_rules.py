"""The rules of an application: which requests a rule is for, and what it asks of them.

Which rule decides, and whether a user satisfies it, is in access.py.
"""

from dataclasses import dataclass
from typing import Literal

from extproc.core.access_conditions import Entries

# Methods that HTTP and its extensions define, of RFC 9110, RFC 5789 and WebDAV (RFC 4918, 3253,
# 3648, 5323, 4791, 8144). An application with rules gets no other one.
METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "ACL",
    "CHECKOUT",
    "COPY",
    "LOCK",
    "MKCALENDAR",
    "MKCOL",
    "MOVE",
    "ORDERPATCH",
    "PROPFIND",
    "PROPPATCH",
    "REPORT",
    "SEARCH",
    "UNLOCK",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of an application; DEFAULT where no rule matches.

    Attributes:
        name: as the settings name it; "" of DEFAULT.
        paths: by whole segments, as they match(); none of DEFAULT.
        methods: none: every method.
        allow: who may make the request; no entries: whom `allow` of the application lets in.
        login: required; optional: who is not signed in passes, without an identity; none: nobody is
            asked, and no request has an identity.
        deny: whether every request is refused.
        networks: whether Envoy compares the client's address.
        client_certificate: whether Envoy looks at the client's certificate.
        accept: what says who makes a request: the session of a browser, or the access token that an
            API caller brings.
        max_claims_age: seconds since the claims were received.
        shadow: whether the rule decides nothing.
    """

    name: str
    paths: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    allow: Entries = ()
    login: Literal["required", "optional", "none"] = "required"
    deny: bool = False
    networks: bool = False
    client_certificate: bool = False
    max_claims_age: int | None = None
    shadow: bool = False
    accept: tuple[Literal["session", "bearer"], ...] = ("session",)

    @property
    def accepts_session(self) -> bool:
        """Whether the session of a browser counts."""
        return "session" in self.accept

    @property
    def accepts_bearer(self) -> bool:
        """Whether an access token in the header Authorization counts."""
        return "bearer" in self.accept

    def names(self, path: str) -> bool:
        """Whether one of the rule's paths is this path, or leads to it by whole segments."""
        return any(covers(each, path) for each in self.paths)

    def asks_as(self, other: "Rule") -> bool:
        """Whether both ask the same of a user."""
        return (self.allow, self.max_claims_age, self.deny) == (
            other.allow,
            other.max_claims_age,
            other.deny,
        )

    def meets(self, other: "Rule") -> bool:
        """Whether a request may be one of both rules; every rule meets DEFAULT."""
        if not self.paths or not other.paths:
            return True
        return any(covers(a, b) or covers(b, a) for a in self.paths for b in other.paths)

    def takes(self, method: str) -> bool:
        """Whether the rule is for requests of this method; GET includes HEAD."""
        return not self.methods or method in self.methods or self._is_head(method)

    def _is_head(self, method: str) -> bool:
        return method == "HEAD" and "GET" in self.methods


DEFAULT = Rule("")


def covers(path: str, requested: str) -> bool:
    """Whether a path of the settings takes a requested one, by whole segments: /admin and /admin/
    both take /admin and everything below it.
    """
    whole = path.rstrip("/")
    return requested == whole or requested.startswith(whole + "/")


@dataclass(frozen=True, slots=True)
class Match:
    """Which rule decides a request, and the shadow rule beside it.

    rule: None where a rule names the path, and none takes the method (405).
    shadow: None without such a rule, and where the answer is 405.
    """

    rule: Rule | None
    shadow: Rule | None = None
