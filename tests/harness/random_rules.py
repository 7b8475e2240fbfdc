"""Any rules of one application, any request, any user: strategies for properties of access, and a
slow reference that says what has to become of a request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

PATHS = ("/", "/a", "/a/", "/a/b", "/a/b/c/", "/ab", "/b/", "/d")
# paths that nobody has to normalise
REQUESTED = (
    "/",
    "/a",
    "/a/",
    "/a/b",
    "/a/bc",
    "/a/b/c",
    "/a/b/c/x",
    "/ab",
    "/ab/x",
    "/b",
    "/b/",
    "/d/e",
    "/x",
)
METHODS = ("GET", "HEAD", "POST", "DELETE", "PROPFIND")
GROUPS = ("g", "h")

_allow = st.none() | st.lists(
    st.fixed_dictionaries({"groups": st.lists(st.sampled_from(GROUPS), min_size=1, unique=True)}),
    min_size=1,
    max_size=2,
)
_rule = st.fixed_dictionaries(
    {
        "paths": st.lists(st.sampled_from(PATHS), min_size=1, max_size=2, unique=True),
        "methods": st.lists(st.sampled_from(METHODS), max_size=2, unique=True),
        "allow": _allow,
        "kind": st.sampled_from(("required", "required", "optional", "none", "deny", "shadow")),
        "accept": st.sampled_from((None, None, ["bearer"], ["session", "bearer"])),
    }
)


def _written(number: int, drawn: dict[str, Any]) -> dict[str, Any]:
    """A rule as the settings have it."""
    rule: dict[str, Any] = {"name": f"r{number}", "paths": drawn["paths"]}
    if drawn["methods"]:
        rule["methods"] = drawn["methods"]
    kind = drawn["kind"]
    if drawn["allow"] is not None and kind not in ("none", "deny"):
        rule["allow"] = drawn["allow"]
    match kind:
        case "deny":
            rule["deny"] = True
        case "shadow":
            rule["mode"] = "shadow"
        case _:
            rule["login"] = kind
    if drawn["accept"] is not None and kind in ("required", "optional"):
        rule["accept"] = drawn["accept"]
    return rule


def _section(drawn: tuple[Any, list[dict[str, Any]]]) -> dict[str, Any]:
    allow, rules = drawn
    section: dict[str, Any] = {"rules": [_written(*each) for each in enumerate(rules)]}
    return section if allow is None else {**section, "allow": allow}


# allow and rules of an application, as the settings have them
sections = st.tuples(_allow, st.lists(_rule, max_size=5)).map(_section)
requests = st.tuples(st.sampled_from(REQUESTED), st.sampled_from((*METHODS, "get", "FROB")))
# the groups of a user who is signed in; None: nobody is
users = st.none() | st.lists(st.sampled_from(GROUPS), unique=True)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has to become of a request.

    Attributes:
        what: 405, 403 (denied to everybody), login, token (an access token is needed), refused
            (the user is known), passes, or identity (it passes with the user's identity).
        rule: the name of the rule that decides, or "".
        shadow: the name of the rule in shadow mode that takes it, or "".
    """

    what: str
    rule: str = ""
    shadow: str = ""


def reference(
    section: dict[str, Any],
    path: str,
    method: str,
    groups: Sequence[str] | None,
    credential: str = "session",
) -> Outcome:
    """What docs/access.md says about a request, without any cleverness.

    Args:
        section: the keys of an application about access.
        path: the path of the request.
        method: its method.
        groups: the groups of the user that it is from; None if it is from nobody.
        credential: what says so: session or bearer.
    """
    enforced = [rule for rule in section["rules"] if rule.get("mode") != "shadow"]
    shadows = [rule for rule in section["rules"] if rule.get("mode") == "shadow"]
    if enforced and method not in METHODS:
        return Outcome("405")
    shadow = next((rule["name"] for rule in shadows if _takes(rule, path, method)), "")
    named = [rule for rule in enforced if _names(rule, path)]
    taking = [rule for rule in named if _takes(rule, path, method)]
    if named and not taking:
        return Outcome("405")
    rule = taking[0] if taking else {"name": ""}
    if rule.get("deny"):
        return Outcome("403", rule["name"])
    login = rule.get("login", "required")
    if login == "none":
        return Outcome("passes", rule["name"])
    accept = rule.get("accept", ["session"])
    if credential not in accept:
        groups = None
    if groups is None:
        nobody = "login" if "session" in accept else "token"
        return Outcome("passes" if login == "optional" else nobody, rule["name"], shadow)
    admitted = _admits(section.get("allow"), groups) and _admits(rule.get("allow"), groups)
    if admitted:
        return Outcome("identity", rule["name"], shadow)
    is_guest = login == "optional" and credential == "session"
    return Outcome("passes" if is_guest else "refused", rule["name"], shadow)


def _names(rule: dict[str, Any], path: str) -> bool:
    segments = [segment for segment in path.split("/") if segment]
    for each in rule["paths"]:
        wanted = [segment for segment in each.split("/") if segment]
        if segments[: len(wanted)] == wanted:
            return True
    return False


def _takes(rule: dict[str, Any], path: str, method: str) -> bool:
    if not _names(rule, path):
        return False
    methods = rule.get("methods")
    return methods is None or method in methods or (method == "HEAD" and "GET" in methods)


def _admits(allow: list[dict[str, Any]] | None, groups: Sequence[str]) -> bool:
    return allow is None or any(set(entry["groups"]) & set(groups) for entry in allow)
