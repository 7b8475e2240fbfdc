"""The users of the machine: they sign in and out, share machines, use several tabs.

Their pages and answers may be slow.
"""

from harness.browser import REDIRECTS
from harness.processes import wait_until
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from stateful.holding import Holding
from stateful.truth import APPLICATIONS, LOGOUT, OF_MAIN, PEOPLE, Desk, Late, Violation, cookie_name
from stateful.world import MFA

# Seconds, within every session's idle time.
MOST_AHEAD = 2400

whose = st.sampled_from((0, 0, 0, 1))
applications = st.sampled_from(("app", "app", "app", "payroll", "partner"))
people = st.sampled_from(PEOPLE)


class People(Holding):
    """Its rules are what users do."""

    @rule(whom=whose, application=applications)
    def signs_in(self, whom: int, application: str) -> None:
        self._signs_in(self.desks[whom], application)
        self._holds(self.desks[whom])

    @rule(whom=whose, application=applications)
    def signs_out(self, whom: int, application: str) -> None:
        self._signs_out(self.desks[whom], application)
        self._holds(self.desks[whom])

    def _signs_out(self, desk: Desk, application: str) -> None:
        under_way = any(late.person and late.application == application for late in desk.late)
        if desk.signed[application] is None and not under_way:
            return
        of_it = OF_MAIN if application in OF_MAIN else (application,)
        signed_in = any(desk.signed[other] is not None for other in of_it)
        known = [
            name
            for name in of_it
            if desk.browser.cookies.get(cookie_name("session", name)) is not None
        ]
        page = self.world.at(APPLICATIONS[application])
        answer = desk.browser.navigate(page + "oauth2/logout", "POST", page=page, content=b"")
        if application == "partner" and self.lied:
            return
        if answer.status_code not in (200, 303):
            raise Violation("lockout", f"{answer.status_code} for a logout in {desk}")
        for other in of_it:
            desk.signed[other] = None
            if signed_in or other in known or self.world.store == "sqlite":
                desk.ended[other].append(LOGOUT)

    @rule(whom=whose, person=people, application=applications)
    def hands_over(self, whom: int, person: str, application: str) -> None:
        """Sign out everywhere; another user sits down and signs in."""
        desk = self.desks[whom]
        for name in ("app", "payroll", "partner"):
            self._signs_out(desk, name)
        desk.browser.user = person
        self._signs_in(desk, application)
        self._holds(desk)

    @rule(whom=whose, application=applications)
    def begins_a_login_in_another_tab(self, whom: int, application: str) -> None:
        desk = self.desks[whom]
        if desk.signed[application] is not None or (application == "partner" and self.lied):
            return
        self._next_second()
        number = desk.begins()
        prefix = self.world.at(APPLICATIONS[application])
        answer = desk.browser.go(prefix + "other", stop=prefix + "oauth2/callback")
        if answer.status_code not in REDIRECTS:
            raise Violation("lockout", f"{answer.status_code} where a login of {desk} begins")
        desk.begun.append(
            (application, desk.person(application), answer.headers["location"], number)
        )
        self._holds(desk)

    @precondition(lambda self: any(desk.begun for desk in self.desks))
    @rule(data=st.data())
    def goes_on_with_that_login(self, data: st.DataObject) -> None:
        desk = data.draw(st.sampled_from([desk for desk in self.desks if desk.begun]), "desk")
        application, person, callback, number = desk.begun.pop(
            data.draw(st.integers(0, len(desk.begun) - 1), "login")
        )
        if self._ends_well(desk, application, person, callback):
            desk.signed[application] = person
            desk.ended[application].append(number)
        self._holds(desk)

    def _ends_well(self, desk: Desk, application: str, person: str, callback: str) -> bool:
        self._next_second()
        answer = desk.browser.navigate(callback, page=self.world.main.url + "/")
        well = answer.status_code == 303 and "/auth?" not in answer.headers["location"]
        if well and application == "payroll" and person not in MFA:
            raise Violation("demand", "a login without a second factor ends well")
        return well

    @precondition(lambda self: any(desk.begun for desk in self.desks))
    @rule(data=st.data())
    def goes_on_with_that_login_and_the_answer_is_late(self, data: st.DataObject) -> None:
        desk = data.draw(st.sampled_from([desk for desk in self.desks if desk.begun]), "desk")
        application, person, callback, number = desk.begun.pop(
            data.draw(st.integers(0, len(desk.begun) - 1), "login")
        )
        with desk.browser.cookies.answers_late() as lines:
            well = self._ends_well(desk, application, person, callback)
        ended = desk.ended[application]
        if well:
            ended.append(number)
        desk.late.append(
            Late(tuple(lines), application, person if well else None, number, len(ended))
        )
        # The new session has ended the one before. The browser does not know of either yet.
        if well:
            desk.signed[application] = None
            desk.browser.cookies.drop(cookie_name("assertion", application))

    @rule(whom=whose, application=applications)
    def begins_a_login_and_the_answer_is_late(self, whom: int, application: str) -> None:
        desk = self.desks[whom]
        with desk.browser.cookies.answers_late() as lines:
            desk.browser.navigate(self.world.at(f"{APPLICATIONS[application]}late"))
        desk.late.append(Late(tuple(lines), application, None))

    @precondition(lambda self: any(desk.late for desk in self.desks))
    @rule(data=st.data())
    def that_answer_comes(self, data: st.DataObject) -> None:
        """A late answer arrives.

        It may sign in the user whose callback it was, unless that login is over, and no other user.
        What it removes is gone, as in any browser.
        """
        desk = data.draw(st.sampled_from([desk for desk in self.desks if desk.late]), "desk")
        late = desk.late.pop(data.draw(st.integers(0, len(desk.late) - 1), "answer"))
        for url, lines in late.lines:
            desk.browser.cookies.receive(url, lines)
        for application in APPLICATIONS:
            self._finds_out(desk, late, application)
        self._holds(desk)

    def _finds_out(self, desk: Desk, late: Late, application: str) -> None:
        if application == "partner" and self.lied:
            return
        answer = desk.browser.fetch(
            self.world.at(f"{APPLICATIONS[application]}oauth2/userinfo"), page=self.world.at("/")
        )
        user = answer.json()["sub"] if answer.status_code == 200 else None
        expected = desk.signed[application]
        could = {expected}
        if late.application == application:
            could.add(None if late.person is not None and desk.is_over(late) else late.person)
        if user not in could and not (user is None and late.ends(application)):
            raise Violation(
                "lockout" if user is None else "identity",
                f"a late answer of {late.application}: {user} ({answer.status_code}) in "
                f"{desk}: {late.lines}",
            )
        desk.signed[application] = user

    @rule(whom=whose, application=applications, lane=st.sampled_from(("processor", "processor", "either")), after=st.sampled_from((0, 0, 70)))  # fmt: skip
    def opens_a_slow_page(self, whom: int, application: str, lane: str, after: int) -> None:
        """A page, perhaps after a while without requests.

        After such a while its answer records the use of the session in a cookie. Not with sessions
        in a store, because Envoy's clock stays, and it accepts no assertion from that time.
        """
        if after and self.world.store == "cookie":
            self._later(after)
        self._opens_slowly(self.desks[whom], f"{APPLICATIONS[application]}slow", application, lane)

    @rule(whom=whose)
    def opens_a_slow_public_page(self, whom: int) -> None:
        self._opens_slowly(self.desks[whom], "/public/slow", "app", "processor")

    def _opens_slowly(self, desk: Desk, path: str, application: str, lane: str) -> None:
        if lane == "processor":
            desk.browser.cookies.drop(cookie_name("assertion", application))
        slow = desk.browser.slow(self.world.at(path))
        wait_until(lambda: slow.over or self.world.received(slow.number), 60, "a slow page")
        self._arrived(desk.browser, slow.number, slow.url)
        desk.slow.append(slow)

    @precondition(lambda self: any(desk.slow for desk in self.desks))
    @rule(data=st.data())
    def that_page_ends(self, data: st.DataObject) -> None:
        desk = data.draw(st.sampled_from([desk for desk in self.desks if desk.slow]), "desk")
        slow = desk.slow.pop(data.draw(st.integers(0, len(desk.slow) - 1), "page"))
        self.world.app.release(slow.number)
        answer = slow.answer()
        desk.browser.cookies.receive(slow.url, answer.headers.get_list("set-cookie"))
        self._holds(desk)

    @rule(whom=whose)
    def assertions_run_out(self, whom: int) -> None:
        """Assertions expire. The next request meets that."""
        self.desks[whom].unlooked = True
        self.desks[whom].browser.cookies.drop(
            *(cookie_name("assertion", name) for name in APPLICATIONS)
        )

    @rule(seconds=st.sampled_from((50, 70, 280)))
    def time_passes(self, seconds: int) -> None:
        """Time passes. The next request meets what has expired."""
        self._later(seconds)

    def _later(self, seconds: int) -> None:
        for desk in self.desks:
            desk.unlooked = True
        self.world.ahead = max(self.world.ahead, min(self.world.ahead + seconds, MOST_AHEAD))

    @rule(whom=whose, path=st.sampled_from(("/x", "/payroll/x", "/oauth2/logout", "/oauth2/login", "/oauth2/userinfo", "/oauth2/sessions", "/payroll/oauth2/logout")), method=st.sampled_from(("GET", "GET", "POST", "HEAD")))  # fmt: skip
    def a_script_asks(self, whom: int, path: str, method: str) -> None:
        """With that browser's cookies and without Sec-Fetch-*, as curl does."""
        desk = self.desks[whom]
        with self._changes_nothing(desk, f"{method} {path} without a word of who asks"):
            desk.browser.request(method, self.world.at(path), headers={"accept": "*/*"})
