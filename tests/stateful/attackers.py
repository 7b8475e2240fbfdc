"""The attackers of the machine: hostile pages, a sibling host, a provider that lies, strangers."""

from harness.browser import relation
from hypothesis import strategies as st
from hypothesis.stateful import rule

from stateful import lying, paths
from stateful.holding import Holding
from stateful.people import whose
from stateful.planting import Plant, plants
from stateful.truth import APPLICATIONS, Desk, cookie_name
from stateful.world import HOST, SIBLING, SITE

disguises = st.builds(
    lambda entrance, upwards, change, wanted: (
        entrance + "".join(upwards) + paths.CHANGES[change](wanted)
    ),
    entrance=st.sampled_from(paths.ENTRANCES),
    upwards=st.lists(st.sampled_from(paths.UPWARDS), max_size=2),
    change=st.sampled_from(tuple(paths.CHANGES)),
    wanted=st.sampled_from(paths.TARGETS),
)


class Attackers(Holding):
    """Its rules are what attackers do."""

    @rule(whom=whose, kind=st.sampled_from(tuple(lying.EMBEDDED)), endpoint=st.sampled_from(lying.ENDPOINTS), site=st.sampled_from((HOST, HOST, SIBLING, "other.example.test")))  # fmt: skip
    def a_page_holds(self, whom: int, kind: str, endpoint: str, site: str) -> None:
        """A page has a picture, a frame, a form or another element at an address of the gateway."""
        desk, url, page = self.desks[whom], self.world.at(endpoint), self.world.at("/wiki", site)
        method, headers = lying.EMBEDDED[kind]
        near = relation(page, url)
        if method == "POST" and near == "same-origin":
            # The application's own form.
            return
        headers = (
            headers
            | {"sec-fetch-site": near}
            | ({"origin": f"https://{site}:1"} if method == "POST" else {})
        )
        sent = desk.browser.cookies.header(
            url,
            same_site=near != "cross-site",
            top_level_get=method == "GET" and headers["sec-fetch-dest"] == "document",
        )
        with self._changes_nothing(desk, f"a {kind} of {site} at {endpoint}"):
            desk.browser.request(
                method,
                url,
                headers=headers,
                content=b"" if method == "POST" else None,
                cookies=sent,
            )

    # ---- a sibling host

    def _hers(self, kind: str, application: str) -> tuple[str, str]:
        """The name and the value of a cookie from mallory's own login."""
        mallory = self.mallory = self.mallory or self._browser("mallory")
        if kind == "login":
            name, value, _ = self._her_login(application)
            return name, value
        prefix = cookie_name(kind, application)
        if not mallory.cookies.named(prefix) and not (application == "partner" and self.lied):
            mallory.go(self.world.at(f"{APPLICATIONS[application]}hers"))
        # With sessions in cookies there are more kinds.
        found = mallory.cookies.named(prefix)
        return (found[0].name, found[0].value) if found else (prefix, "none")

    def _her_login(self, application: str) -> tuple[str, str, str]:
        """A login that mallory started and did not complete.

        Returns the name and value of her login cookie, and the callback's address.
        """
        browser = self._browser("mallory")
        if application == "partner" and self.lied:
            return (
                cookie_name("login", application, "-00000000"),
                "none",
                self.world.at("/partner/oauth2/callback?code=a&state=b"),
            )
        prefix = self.world.at(APPLICATIONS[application])
        answer = browser.go(prefix + "hers", stop=prefix + "oauth2/callback")
        (cookie,) = browser.cookies.named(cookie_name("login", application))
        return cookie.name, cookie.value, str(answer.headers["location"])

    def _plant(self, desk: Desk, plant: Plant, name: str, value: str) -> None:
        if plant.alone:
            desk.browser.cookies.forget(SITE)
        scheme = "https" if plant.secure else "http"
        planted = sum(len(cookie.name) + len(cookie.value) for cookie in desk.browser.cookies)
        for line in plant.lines(name, value):
            if planted + len(line) > 12_000:
                # A head that is too large is refused, whatever made it so.
                return
            planted += (
                len(line)
                if desk.browser.cookies.take(self.world.at("/", SIBLING, scheme), line)
                else 0
            )

    @rule(whom=whose, plant=plants)
    def a_sibling_plants(self, whom: int, plant: Plant) -> None:
        desk = self.desks[whom]
        name, value = self._hers(plant.kind, plant.application)
        self._plant(desk, plant, name, value)
        self._holds(desk)

    @rule(whom=whose, plant=plants)
    def a_sibling_opens_its_own_callback(self, whom: int, plant: Plant) -> None:
        """Mallory tries to complete her login in this browser."""
        desk = self.desks[whom]
        name, value, callback = self._her_login(plant.application)
        self._plant(desk, plant, name, value)
        desk.browser.navigate(callback, page=self.world.at("/", SIBLING))
        self._holds(desk)

    # ---- a provider

    @rule(lie=st.sampled_from(tuple(lying.DOCUMENTS)))
    def the_partner_says(self, lie: str) -> None:
        self.lied = True
        lying.DOCUMENTS[lie](self.world.partner)
        self.world.taken_in()
        self._holds()

    @rule()
    def the_partner_tells_the_truth(self) -> None:
        self.world.partner.reset()
        self.world.taken_in()
        self._holds()

    # ---- strangers

    @rule(
        whom=st.sampled_from((0, 0, 1, None)), disguised=st.lists(disguises, min_size=1, max_size=6)
    )
    def paths_in_disguise(self, whom: int | None, disguised: list[str]) -> None:
        """With the cookies of a user, or with none."""
        browser = self.desks[whom].browser if whom is not None else self._browser("nobody")
        for path in disguised:
            browser.request("GET", self.world.at(path), headers={"accept": "*/*"})

    @rule(shape=st.sampled_from(tuple(lying.GIANTS)), kilobytes=st.sampled_from((4, 20, 50)), path=st.sampled_from(("/x", "/public/x", "/static/x", "/oauth2/login")))  # fmt: skip
    def a_giant_cookie_header(self, shape: str, kilobytes: int, path: str) -> None:
        nobody = self._browser("nobody")
        nobody.request("GET", self.world.at(path), cookies=lying.giant(shape, kilobytes * 1000))
        self._holds()
