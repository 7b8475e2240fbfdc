"""How an application may read a path differently from Envoy, and the disguises that use it.

The demand of a path is a set of words. A reading that demands what the route did not is a hole.
"""

import re
from urllib.parse import unquote

PAGES = ("/payroll/", "/partner/", "/static/", "/public/", "/")
DEMANDS = {
    "/payroll/": frozenset({"main", "mfa"}),
    "/partner/": frozenset({"partner"}),
    "/static/": frozenset(),
    "/public/": frozenset(),
    "/": frozenset({"main"}),
}
APPLICATIONS = {"app": "/", "payroll": "/payroll/", "partner": "/partner/"}


def page_of(path: str) -> str:
    """The one of PAGES that Envoy's routes find for a path, by its first segment."""
    return next(
        prefix
        for prefix in PAGES
        if path.startswith(prefix) or path == prefix.rstrip("/") or prefix == "/"
    )


def _resolved(path: str) -> str:
    """The path without empty and dot segments (RFC 3986 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        if segment == "..":
            del kept[-1:]
        elif segment not in (".", ""):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if path.endswith(("/", "/.", "/..")) and kept else "")


def _without_parameters(path: str) -> str:
    return re.sub(r";[^/]*", "", path)


def tomcat(path: str) -> str:
    """Tomcat and Jetty: remove path parameters, decode once, then resolve dots; case counts."""
    return _resolved(unquote(_without_parameters(path), "latin-1"))


def express(path: str) -> str:
    """Express: ignore case in routes, decode nothing before that."""
    return path.lower()


def iis(path: str) -> str:
    """ASP.NET on Windows.

    It decodes, reads a backslash as a slash, ignores case, and drops everything after a segment's
    last dot or blank.
    """
    decoded = _resolved(unquote(path, "latin-1").replace("\\", "/"))
    return "/".join(segment.rstrip(". ") for segment in decoded.lower().split("/"))


def twice(path: str) -> str:
    """A second proxy behind Envoy that decodes what the application decodes again."""
    return tomcat(unquote(path, "latin-1")).lower()


READERS = (tomcat, express, iis, twice)


def wider(path: str) -> str | None:
    """The reader that finds more in a path than its route demands of a user, and what it finds.

    None: no reader does.
    """
    demanded = DEMANDS[page_of(path)]
    for reader in READERS:
        read = reader(path)
        if not DEMANDS[page_of(read)] <= demanded:
            return f"{reader.__name__} reads {path!r} as {read!r}"
    return None


ENTRANCES = ("", "/a", "/static", "/static/a", "/public", "/payroll", "/partner")
UPWARDS = (
    "",
    "/..;",
    "/..;a=b",
    "/%2e%2e;",
    "/.%2e;x",
    "/..%3b",
    "/%2e%2e%3bx",
    "/%252e%252e",
    "/..%253b",
    "/%2e%2e",
    "/.;",
    "/%2e;",
)
TARGETS = ("/payroll/x", "/partner/x", "/private", "/public/x", "/static/x")
CHANGES = {
    "none": lambda path: path,
    "upper": str.upper,
    "one letter": lambda path: path[:3].upper() + path[3:],
    "parameter": lambda path: _after_first(path, ";a=b"),
    "bare parameter": lambda path: _after_first(path, ";"),
    "encoded parameter": lambda path: _after_first(path, "%3b"),
    "dot": lambda path: _after_first(path, "."),
    "encoded dot": lambda path: _after_first(path, "%2e"),
    "blank": lambda path: _after_first(path, "%20"),
    "encoded letter": lambda path: f"/%{ord(path[1]):x}{path[2:]}",
    "encoded twice": lambda path: f"/%25{ord(path[1]):x}{path[2:]}",
    "encoded capital": lambda path: f"/%{ord(path[1].upper()):x}{path[2:]}",
    "last letter encoded twice": lambda path: re.sub(r"(.)/", lambda m: f"%25{ord(m[1]):x}/", path[1:], count=1).join(("/", "")),
    "slashes": lambda path: "/" + path,
    "backslash": lambda path: "/\\" + path[1:],
    "dot first": lambda path: "/." + path,
}  # fmt: skip


def _after_first(path: str, what: str) -> str:
    first, slash, rest = path[1:].partition("/")
    return f"/{first}{what}{slash}{rest}"
