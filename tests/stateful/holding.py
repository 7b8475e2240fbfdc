"""The invariants of each request, of each step and of the end, whatever the actors did."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar
from urllib.parse import urlsplit

import httpx
from hypothesis.stateful import RuleBasedStateMachine

from stateful import paths
from stateful.browser import Browser
from stateful.counting import WORK
from stateful.truth import APPLICATIONS, PEOPLE, Desk, Violation, application_of, cookie_name
from stateful.world import HOST, MFA, World

# The most work for each byte of a Cookie header.
PER_BYTE = 40
# The table of LuaJIT's strings grows by tens of kB at some request (counting.py excludes the rest).
# So small headers may cost that much more before a test notices. Large headers, with which the
# tests search for holes, may cost no more than PER_BYTE.
FOR_ITSELF = 80_000


class Holding(RuleBasedStateMachine):
    """The invariants. A subclass gives `world`."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.world.make_whole()
        self.pid = self.world.extproc.pid
        self.desks = [Desk(self._browser(person)) for person in PEOPLE]
        self.mallory: Browser | None = None
        self.lied = False

    def _browser(self, person: str) -> Browser:
        return self.world.browser(person, self._seen)

    # ---- of each request

    def _seen(self, browser: Browser, number: str, url: str, answer: httpx.Response) -> None:
        parts = urlsplit(url)
        if parts.hostname != HOST:
            return
        if answer.status_code >= 500 and not (
            self.lied and parts.path.startswith("/partner/oauth2/")
        ):
            raise Violation("answers", f"{answer.status_code} for {url}: {answer.text[:200]}")
        self._arrived(browser, number, url)
        self._worked(browser.hops[-1].sent.get("cookie", ""), answer)

    def _arrived(self, browser: Browser, number: str, url: str) -> None:
        got = self.world.received(number)
        if got is None:
            return
        if found := paths.wider(got.path):
            raise Violation("demand", f"{url} reached the application: {found}")
        users = got.values("x-auth-sub")
        page, user = paths.page_of(got.path), users[0] if users else None
        allowed: set[str | None] = {None}
        if (desk := self._desk(browser)) is None:
            allowed |= {browser.user, f"p-{browser.user}"}
        elif page != "/static/":
            allowed |= {desk.signed[application_of(got.path)], desk.becoming}
        if self.lied and page == "/partner/":
            # Any user of the partner's, because the partner decides who its users are.
            return
        if user not in allowed or len(users) > 1:
            raise Violation("identity", f"{url} reached the application as {users}, {desk}")
        if user is None and page in ("/", "/payroll/", "/partner/"):
            raise Violation("demand", f"{url} reached the application without a user")

    def _desk(self, browser: Browser) -> Desk | None:
        return next((desk for desk in self.desks if desk.browser is browser), None)

    def _worked(self, cookie: str, answer: httpx.Response) -> None:
        work = int(answer.headers.get(WORK, 0))
        if work > PER_BYTE * len(cookie) + FOR_ITSELF:
            raise Violation(
                "work", f"{work} for a Cookie header of {len(cookie)} bytes: {cookie[:100]}"
            )

    # ---- of each step

    def _holds(self, *desks: Desk) -> None:
        self._lives()
        for desk in desks or self.desks:
            desk.unlooked = False
            for application in APPLICATIONS:
                self._is_who_signed_in(desk, application)

    def _lives(self) -> None:
        if (fault := self.world.fault()) is not None:
            raise Violation("lives", fault)
        if self.world.extproc.pid != self.pid:
            raise Violation("lives", "the processor is another")

    def _is_who_signed_in(self, desk: Desk, application: str) -> None:
        """The browser is its user: as it is, and without its assertion, by the processor."""
        if application == "partner" and self.lied:
            return
        for lane in ("either", "processor"):
            if lane == "processor":
                desk.browser.cookies.drop(cookie_name("assertion", application))
            url = self.world.at(f"{APPLICATIONS[application]}x?{lane}")
            user, browser = desk.signed[application], desk.browser
            if user is None:
                answer = browser.fetch(url, page=self.world.at("/"))
                if answer.status_code != 401:
                    raise Violation(
                        "identity", f"{answer.status_code} by {lane} for {url} in {desk}"
                    )
                continue
            answer = browser.navigate(url)
            if answer.status_code != 200:
                raise Violation(
                    "lockout",
                    f"{answer.status_code} by {lane} for {url} in {desk}; {_told(browser)}",
                )

    @contextmanager
    def _changes_nothing(self, desk: Desk, what: str) -> Iterator[None]:
        """Run a step after which every browser must have the same user as before."""
        if desk.unlooked:
            self._holds(desk)
        yield
        try:
            self._holds(desk)
        except Violation as found:
            if found.kind == "lockout":
                # Its name is another one here.
                Violation.raised.remove(found)
                raise Violation("asked", f"{what} changed who is signed in: {found}") from found
            raise

    def teardown(self) -> None:
        try:
            self._let_go()
            self._others_live_on()
        finally:
            self.world.close_browsers()

    def _let_go(self) -> None:
        for desk in self.desks:
            for slow in desk.slow:
                self.world.app.release(slow.number)
            for slow in desk.slow:
                slow.answer()

    def _others_live_on(self) -> None:
        """Users of the correct provider can sign in."""
        self._lives()
        desk = Desk(self._browser("alice"))
        self.desks.append(desk)
        self._signs_in(desk, "app")

    def _signs_in(self, desk: Desk, application: str) -> None:
        browser, person = desk.browser, desk.person(application)
        self._next_second()
        url = self.world.at(f"{APPLICATIONS[application]}page")
        desk.becoming = person
        answer = browser.go(url)
        desk.becoming = None
        if application == "partner" and self.lied:
            return
        if desk.signed[application] is None and application == "payroll" and person not in MFA:
            if answer.status_code != 403:
                raise Violation(
                    "demand", f"{answer.status_code} at the end of a login without a second factor"
                )
            return
        if answer.status_code != 200:
            raise Violation(
                "lockout",
                f"a login at {application} ends in {answer.status_code}; {_told(browser)}",
            )
        if desk.signed[application] is None:
            desk.signed[application] = person
            desk.ended[application].append(desk.begins())

    def _next_second(self) -> None:
        """Wait for the next second, which is the resolution of revocations."""
        self.world.ahead += 1


def _told(browser: Browser) -> str:
    """The end of its journey."""
    return " / ".join(str(hop)[:150] for hop in browser.hops[-4:])
