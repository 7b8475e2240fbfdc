"""What is true of each browser, and the kinds of Violation.

- identity: a request reached the application as another user than the one who signed in last in
  that browser
- lockout: a signed-in browser is not served, or a login does not end at the application
- demand: a request reached pages that demand more than was checked
- asked: a request that no user made changed who is signed in
- lives: the processor or Envoy ended, or users of the correct provider cannot sign in
- answers: a 5xx that no answer of a provider explains
- work: a Cookie header costs more than work in proportion to its length
"""

from dataclasses import dataclass
from typing import ClassVar

from stateful import paths
from stateful.browser import Browser, Slow

APPLICATIONS = paths.APPLICATIONS
OF_MAIN = ("app", "payroll")
LOGOUT = float("inf")
PEOPLE = ("alice", "bob")


class Violation(AssertionError):
    """`kind` is the invariant. `raised` has all of this process."""

    raised: ClassVar[list["Violation"]] = []

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind
        self.raised.append(self)


@dataclass(frozen=True, slots=True)
class Late:
    """An answer of the gateway that a browser has not received yet: its cookies, and its login.

    begun: the number of its login. since: how many logins and logouts of the application had ended
    in that browser, its own included.
    """

    lines: tuple[tuple[str, list[str]], ...]
    application: str
    person: str | None
    begun: int = 0
    since: int = 0

    def ends(self, application: str) -> bool:
        """Whether it removes the session's cookie."""
        gone = f"{cookie_name('session', application)}=;"
        return any(line.startswith(gone) for _, lines in self.lines for line in lines)


class Desk:
    """A browser and what is true of it: who is signed in at which application."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.signed: dict[str, str | None] = dict.fromkeys(APPLICATIONS)
        self.becoming: str | None = None  # whose login is under way
        # Something expired, and no request was made since.
        self.unlooked = True
        self.slow: list[Slow] = []
        self.late: list[Late] = []
        # logins in other tabs: application, person, callback address, number
        self.begun: list[tuple[str, str, str, int]] = []
        self.logins = 0  # that were begun
        # the number of each login that ended well, or LOGOUT
        self.ended: dict[str, list[float]] = {name: [] for name in APPLICATIONS}

    def begins(self) -> int:
        """The number of a new login. Later ones have larger numbers."""
        self.logins += 1
        return self.logins

    def is_over(self, late: Late) -> bool:
        """Whether a logout, or a login that started later, has ended that login as well."""
        return any(number > late.begun for number in self.ended[late.application][late.since :])

    def person(self, application: str) -> str:
        """The name of its user there."""
        return f"p-{self.browser.user}" if application == "partner" else self.browser.user

    def __repr__(self) -> str:
        return f"{self.browser.user}'s browser, signed in: {self.signed}"


def application_of(path: str) -> str:
    page = paths.page_of(path)
    return next((name for name, prefix in APPLICATIONS.items() if prefix == page), "app")


def cookie_name(kind: str, application: str, attempt: str = "") -> str:
    return f"__Host-extproc-{kind}-{application}{attempt}"
