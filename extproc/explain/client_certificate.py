"""What a route asks of the client's certificate, read from the generated configuration."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from extproc.envoyconfig.filters.chain import CERTIFICATE, SUBJECT
from extproc.envoyconfig.tree import Tree, at, branch, items


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client's certificate, which Envoy has verified.

    Attributes:
        subject: the whole subject in the form of RFC 2253, "" without a name.
        sans: its alternative names.
    """

    subject: str = ""
    sans: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CertificateDemand:
    """The certificates that a route admits: None of a key is every value."""

    subjects: tuple[str, ...] | None
    sans: tuple[str, ...] | None

    def missing(self, shown: Certificate | None) -> Iterator[tuple[str, tuple[str, ...]]]:
        """The keys that do not hold for a certificate, or for none, and their values."""
        if self.subjects is not None and (shown is None or shown.subject not in self.subjects):
            yield "subjects", self.subjects
        if self.sans is not None and (shown is None or not set(shown.sans) & set(self.sans)):
            yield "sans", self.sans


def demanded(config: Tree) -> CertificateDemand | None:
    """What the filters of a route's configuration demand; None if they demand no certificate."""
    if CERTIFICATE not in config and SUBJECT not in config:
        return None
    subjects = at(config, SUBJECT, "rbac", "matcher", "matcher_tree", "exact_match_map", "map")
    sans = tuple(_sans(branch(config, CERTIFICATE)))
    return CertificateDemand(
        subjects=tuple(subjects) if isinstance(subjects, dict) else None,
        sans=sans or None,
    )


def _sans(config: Tree) -> Iterator[str]:
    for policy in branch(config, "rbac", "rules", "policies").values():
        for principal in items(policy, "principals"):
            matcher = branch(principal, "custom", "typed_config", "san_matcher", "matcher")
            pattern = at(matcher, "safe_regex", "regex")
            if pattern is not None:
                yield re.sub(r"\\(.)", r"\1", str(pattern))
            elif matcher:
                yield str(matcher.get("exact", ""))
