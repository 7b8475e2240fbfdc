"""Cookies that a sibling host plants: any Set-Cookie line that a browser may keep.

A line is made of a name, pieces and separators. A piece is a template: {ours} is the name of a
cookie of the gateway, {hers} the value that mallory's own cookie of that name has.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

APPLICATIONS = ("app", "payroll", "partner")
KINDS = ("session", "session", "session", "assertion", "assertion", "login", "data", "used")
NAMES = ("prefs", "", "a", '"q"', "extproc-session-app", "extproc-assertion-app", "a __Host-extproc-session-app", "__Secure-extproc-session-app", "__HOST-extproc-session-app", "__Host-extproc-session-app", "a,__Host-extproc-session-app", "a\t__Host-extproc-assertion-app")  # fmt: skip
OURS = (
    "{ours}={hers}",
    "{ours}={hers}",
    "{ours}={hers}",
    "{ours}=garbage",
    "{ours}=",
    "{bare}={hers}",
    "{ours}",
)
PIECES = (*OURS, "dark", "dark", "", "=", '"')
MARKS = (",", ",", ",", ",", ", ", " , ", " ", "\t", "|", "&", "=", '"', "%3B", "\\")
PATHS = ("/", "/x", "/payroll/", "/oauth2/", "/payroll/oauth2/callback")


@dataclass(frozen=True)
class Plant:
    """A planted cookie.

    times: so many of it, with numbered names where a name can be. alone: what was planted before
    has expired.
    """

    name: str
    pieces: tuple[str, ...]
    mark: str
    application: str
    kind: str
    path: str = "/"
    secure: bool = True
    times: int = 1
    alone: bool = False

    def lines(self, ours: str, hers: str) -> list[str]:
        bare = ours.removeprefix("__Host-")
        value = self.mark.join(
            piece.format(ours=ours, hers=hers, bare=bare) for piece in self.pieces
        )
        end = (
            f"; Domain=gw.test; Path={self.path}; "
            f"Max-Age=31536000{'; Secure' if self.secure else ''}"
        )
        names = (
            [self.name]
            if self.times == 1
            else [f"{self.name}{number}" for number in range(self.times)]
        )
        # A semicolon would end the value, and a cookie without a name has no `=`.
        return [f"{name}={value}{end}" if name else f"{value}{end}" for name in names]


plants = st.builds(
    Plant,
    name=st.sampled_from(NAMES),
    pieces=st.tuples(st.sampled_from(PIECES), st.sampled_from(OURS))
    | st.lists(st.sampled_from(PIECES), max_size=3).map(tuple),
    mark=st.sampled_from(MARKS),
    application=st.sampled_from(APPLICATIONS),
    kind=st.sampled_from(KINDS),
    path=st.sampled_from(PATHS),
    secure=st.booleans(),
    times=st.sampled_from((1, 1, 1, 1, 1, 30)),
    alone=st.booleans(),
)
