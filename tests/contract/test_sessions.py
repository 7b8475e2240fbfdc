"""How sessions live and end, whether they are in a store or in cookies: the same journeys through
each.
"""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import trio
from harness.cookie_jar import read_set_cookie
from harness.tokens import ISSUER, RING, application, request

from extproc.core.decisions import LoadSession
from extproc.core.device import Device
from extproc.core.errors import LoginRequired, SessionTooLarge, SignedOutMeanwhile
from extproc.core.oidc.claims import Claims
from extproc.core.sealing import KeyRing
from extproc.core.session import Session, SessionId
from extproc.core.session_index import IndexEntry, open_entry, sid_tags, subject_tags
from extproc.core.session_record import MAX_SEALED
from extproc.core.session_selection import of_user_and_sid, of_user_without_sid
from extproc.relying_party.relying_party import RelyingParty
from extproc.relying_party.session_limit import end_surplus
from extproc.sessions.cookie import CookieSessions
from extproc.sessions.memory import MemoryRevocations
from extproc.sessions.stored import StoredSessions

# Redis goes by a clock of its own, and a whole run takes longer than some of what is stored: an
# hour ahead
NOW = int(time.time()) + 3600
APP, DEVICE = application(), Device("Firefox on Linux", "192.0.2.7")


def session(name: bytes = b"s", **changes) -> Session:
    known = Session(
        SessionId.of(name * 32), ISSUER, "alice", Claims({"sub": "alice"}), "idt", "at", "rt", NOW + 300, NOW, NOW + 43_200, NOW,
        sid="at the provider",
    )  # fmt: skip
    return replace(known, **changes)


class Jar:
    """A browser's cookies, as it sends them back."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def take(self, cookies) -> None:
        for cookie in cookies:
            kept = read_set_cookie(cookie.header(), APP.url, NOW)
            assert kept is not None, "no browser would keep it"
            self.held.pop(kept.name, None)
            if kept.expires is None or kept.expires > NOW:
                self.held[kept.name] = kept.value

    def request(self, **headers: str):
        return request(
            cookie="; ".join(f"{name}={value}" for name, value in self.held.items()), **headers
        )


@pytest.fixture
def jar() -> Jar:
    return Jar()


@pytest.fixture(params=["in a store", "in cookies", "in cookies, tombstones here"])
async def sessions(request, opener) -> AsyncIterator:
    made = {
        "in a store": lambda: StoredSessions(opener()),
        "in cookies": lambda: CookieSessions(opener()),
        "in cookies, tombstones here": lambda: CookieSessions(MemoryRevocations()),
    }[request.param]()
    yield made
    await made.aclose()


async def begin(sessions, jar, one: Session, replaces: Session | None = None, app=APP) -> None:
    jar.take(await sessions.create(app, jar.request(), one, DEVICE, replaces))


async def find(sessions, jar: Jar, now: int = NOW, app=APP) -> Session | None:
    return await sessions.find(app, jar.request(), now)


@pytest.mark.threat("stolen-store")
async def test_a_session_is_found_by_its_browser_and_no_other(sessions, jar):
    assert await find(sessions, jar) is None
    await begin(sessions, jar, session())
    assert await find(sessions, jar) == session()
    assert await find(sessions, Jar()) is None
    assert (
        await find(
            sessions,
            jar,
            app=application(ring=KeyRing.of([b"another gateway's secret, not this one's"])),
        )
        is None
    )


@pytest.mark.attack("FLOW-24")
async def test_a_login_takes_the_place_of_the_session_before_and_ends_it(sessions, jar):
    await begin(sessions, jar, session(b"1"))
    thief = Jar()
    thief.held = dict(jar.held)
    await begin(sessions, jar, session(b"2", subject="bob"), replaces=session(b"1"))
    assert (await find(sessions, jar)).subject == "bob" and await find(sessions, thief) is None


@pytest.mark.attack("LOGO-23")
@pytest.mark.threat("ended-session")
async def test_what_ended_is_over_for_every_copy_of_its_cookies_and_a_late_set_cookie_revives_nothing(
    sessions, jar
):
    await begin(sessions, jar, session())
    late = sessions.touch_cookies(APP, jar.request(), session(), NOW + 60)
    copy = Jar()
    copy.held = dict(jar.held)
    await sessions.end(session(), NOW + 30)
    copy.take(late)
    assert await find(sessions, jar) is None and await find(sessions, copy) is None
    assert await find(sessions, copy, NOW + 43_199) is None


async def test_what_ended_is_over_also_when_a_clock_that_was_an_hour_ahead_is_set_back(
    sessions, jar
):
    short = session(expires=NOW + 600)
    await begin(sessions, jar, short)
    await sessions.end(short, NOW + 30)
    await sessions.revocations.use_once(b"what is past its end is swept", NOW + 5400, NOW + 3630)
    assert await find(sessions, jar, NOW + 60) is None


async def test_last_use_is_written_down(sessions, jar):
    await begin(sessions, jar, session())
    jar.take(sessions.touch_cookies(APP, jar.request(), session(), NOW + 60))
    await sessions.touch(APP, session(), NOW + 60)
    assert await find(sessions, jar, NOW + 60) == session(touched=NOW + 60)


async def test_all_sessions_of_a_user_end_and_they_may_sign_in_again(sessions, jar):
    browsers = {name: Jar() for name in (b"1", b"2", b"3")}
    for name, browser in browsers.items():
        await begin(sessions, browser, session(name, subject="bob" if name == b"3" else "alice"))
    count = await sessions.end_tagged(subject_tags(RING, ISSUER, "alice"), NOW, NOW + 43_200)
    assert count in (2, None)  # cookies cannot be counted
    assert [await find(sessions, browser) is None for browser in browsers.values()] == [
        True,
        True,
        False,
    ]
    again = session(b"4", created=NOW + 1)
    await begin(sessions, jar, again)
    assert await find(sessions, jar, NOW + 1) == again


@pytest.mark.attack("LOGO-05")
async def test_what_the_provider_ended_under_a_shorter_lifetime_stays_ended_under_a_longer_one(
    sessions, jar, opener
):
    """The revocation is kept until the session would have ended by the settings of its login."""
    for number in range(3):
        one = session(b"%d" % number, sid=f"sid {number}", expires=NOW + 40_000 + number)
        await begin(sessions, jar, one)
    # A process that has seen none of these logins, with a lifetime of 50 s by now.
    ending = sessions if not sessions.shared else type(sessions)(opener())
    await ending.end_tagged(sid_tags(RING, ISSUER, "sid 2"), NOW + 10, NOW + 60)
    for later in (NOW + 11, NOW + 61, NOW + 40_001):
        assert await find(sessions, jar, later) is None
    if ending is not sessions:
        await ending.aclose()


@pytest.mark.attack("LOGO-16")
async def test_a_session_at_the_provider_ends_alone(sessions):
    one, two = Jar(), Jar()
    await begin(sessions, one, session(b"1"))
    await begin(sessions, two, session(b"2", sid="another"))
    await sessions.end_tagged(sid_tags(RING, ISSUER, "another"), NOW, NOW + 43_200)
    assert await find(sessions, one) is not None and await find(sessions, two) is None


async def test_a_login_that_the_provider_ended_before_it_was_kept_is_no_session(sessions, jar):
    await sessions.end_tagged(sid_tags(RING, ISSUER, "at the provider"), NOW, NOW + 43_200)
    with pytest.raises(SignedOutMeanwhile):
        await begin(sessions, jar, session())
    assert await find(sessions, jar) is None
    await begin(sessions, jar, session(b"2", created=NOW + 1))
    assert await find(sessions, jar) is not None


async def test_a_login_in_the_same_second_as_a_logout_counts_if_it_came_later(sessions, jar):
    tags, at = sid_tags(RING, ISSUER, "at the provider"), NOW * 1000
    await begin(sessions, jar, session(b"1", created_ms=at + 249))
    await sessions.end_tagged(tags, NOW + 0.25, NOW + 43_200)
    assert await find(sessions, jar) is None
    with pytest.raises(SignedOutMeanwhile):
        await begin(sessions, Jar(), session(b"2", created_ms=at + 250))
    later = session(b"3", created_ms=at + 251)
    await begin(sessions, jar, later)
    assert await find(sessions, jar) == later


async def test_a_revocation_of_an_older_release_covers_its_whole_second(sessions, jar):
    for tag in sid_tags(RING, ISSUER, "at the provider"):
        await sessions.revocations.revoke_before(tag, NOW, NOW + 3600)
    with pytest.raises(SignedOutMeanwhile):
        await begin(sessions, Jar(), session(b"1", created_ms=NOW * 1000 + 999))
    later = session(b"2", created=NOW + 1, created_ms=NOW * 1000 + 1000)
    await begin(sessions, jar, later)
    assert await find(sessions, jar) == later


@pytest.mark.attack("LOGO-16")
@pytest.mark.parametrize(
    ("selection", "over"),
    [
        (of_user_and_sid(RING, ISSUER, "alice", "at the provider"), b"1"),
        (of_user_without_sid(RING, ISSUER, "alice"), b"2"),
    ],
)
async def test_sessions_of_a_user_with_a_sid_or_without_end_and_no_others(
    sessions, selection, over
):
    made = {
        b"1": session(b"1"),
        b"2": session(b"2", sid=None),
        b"3": session(b"3", subject="bob"),
        b"4": session(b"4", subject="bob", sid=None),
        b"5": session(b"5", sid="another"),
    }
    browsers = {name: Jar() for name in made}
    for name, one in made.items():
        await begin(sessions, browsers[name], one)
    ended = await sessions.end_selected(selection, NOW + 1, NOW + 43_200)
    assert ended in (1, None)
    gone = [name for name, browser in browsers.items() if await find(sessions, browser) is None]
    assert gone == [over]
    # A login that was under way ends too, and one that comes later does not.
    with pytest.raises(SignedOutMeanwhile):
        await begin(sessions, Jar(), replace(made[over], id=SessionId.of(b"6" * 32)))
    later = replace(made[over], id=SessionId.of(b"7" * 32), created=NOW + 2)
    await begin(sessions, Jar(), later)


async def test_what_anybody_may_ask_for_leaves_no_mark(sessions, jar):
    """A frame may name any sid: in cookies it ends nothing, in a store what is there, and a login
    goes on afterwards.
    """
    await begin(sessions, jar, session(b"1"))
    count = await sessions.end_stored(sid_tags(RING, ISSUER, "at the provider"), NOW)
    assert (await find(sessions, jar) is None) == (count == 1) and count in (1, None)
    await begin(sessions, jar, session(b"2"))
    assert await find(sessions, jar) is not None


async def test_the_sessions_of_a_user_are_listed_once_each_and_end_one_by_one(sessions, jar):
    turned = KeyRing((*KeyRing.of([b"the new secret of this gateway ..."]).keys, *RING.keys))
    await begin(sessions, jar, session(b"1"))
    await begin(sessions, Jar(), session(b"2"), app=application(ring=turned))
    await begin(sessions, Jar(), session(b"3", subject="bob"))
    found = await sessions.tagged(
        (*subject_tags(turned, ISSUER, "alice"), *subject_tags(RING, ISSUER, "alice")), NOW
    )
    if found is None:  # in cookies nobody can know, which is not "none"
        return
    keys = [SessionId.of(name * 32).key for name in (b"1", b"2")]
    assert sorted(record.key for record in found) == sorted(keys)
    await sessions.delete_many(keys[:1])
    assert await find(sessions, jar) is None
    assert [
        record.key for record in await sessions.tagged(subject_tags(turned, ISSUER, "alice"), NOW)
    ] == keys[1:]


async def test_more_sessions_than_a_user_may_have_end_the_oldest(opener):
    limited = application(sessions_per_user=2)
    one, two = StoredSessions(opener()), StoredSessions(opener())
    made = [session(bytes([65 + n]), created=NOW + n, sid=None) for n in range(4)]
    browsers = [Jar() for _ in made]
    for each, browser in zip(made[:2], browsers, strict=False):
        await begin(one, browser, each, app=limited)
        await end_surplus(one, limited, each, NOW + 3)
    # two logins at once, at two processes: both are kept before either looks
    await begin(one, browsers[2], made[2], app=limited)
    await begin(two, browsers[3], made[3], app=limited)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(end_surplus, one, limited, made[2], NOW + 3)
        nursery.start_soon(end_surplus, two, limited, made[3], NOW + 3)
    assert [await find(one, browser, app=limited) is None for browser in browsers] == [
        True,
        True,
        False,
        False,
    ]
    for each in (one, two):
        await each.aclose()


async def test_what_was_done_is_marked_for_as_long_as_it_could_be_asked_again(sessions):
    assert not await sessions.revocations.revoked_before((b"k" * 32,), NOW)
    await sessions.revocations.revoke_before(b"k" * 32, NOW, NOW + 60)
    assert await sessions.revocations.revoked_before((b"k" * 32,), NOW + 59)


@pytest.mark.attack("COOK-19")
async def test_it_ends_with_an_older_tag_after_the_key_ring_turned(sessions, jar):
    await begin(sessions, jar, session())
    rotated = KeyRing((*KeyRing.of([b"the new secret of this gateway ..."]).keys, *RING.keys))
    app = application(ring=rotated)
    assert await find(sessions, jar, app=app) == session()
    await sessions.end_tagged(subject_tags(rotated, ISSUER, "alice"), NOW, NOW + 43_200)
    assert await find(sessions, jar, app=app) is None


async def test_one_that_is_too_large_is_refused_and_the_one_before_stays(sessions, jar):
    await begin(sessions, jar, session(b"1"))
    with pytest.raises(SessionTooLarge):
        await begin(sessions, jar, session(b"2", id_token="x" * MAX_SEALED), replaces=session(b"1"))
    assert await find(sessions, jar) == session(b"1")


async def test_a_login_is_used_once(sessions):
    assert [await sessions.revocations.use_once(b"attempt", NOW + 1800, NOW) for _ in range(2)] == [
        True,
        False,
    ]


@pytest.mark.attack("REL-36")
@pytest.mark.parametrize("kind", [StoredSessions, CookieSessions])
async def test_any_process_goes_on_with_what_another_began(kind, opener, jar):
    one, two, three = (kind(opener()) for _ in range(3))
    assert await one.revocations.use_once(
        b"attempt", NOW + 1800, NOW
    ) and not await two.revocations.use_once(b"attempt", NOW + 1800, NOW)
    await begin(one, jar, session())
    assert await find(two, jar) == session()
    await three.end(session(), NOW)
    assert await find(one, jar) is None
    for each in (one, two, three):
        await each.aclose()


@pytest.mark.attack("COOK-17")
async def test_a_session_in_use_lives_on_and_is_written_down_at_most_once_a_minute(sessions, jar):
    """Through the relying party: a store is touched after the answer, cookies come with it."""
    now = [NOW]
    party = RelyingParty({"app": APP}, {}, sessions, lambda: now[0])
    await begin(sessions, jar, session())

    async def ask() -> str:
        script = jar.request(sec_fetch_mode="cors", sec_fetch_dest="empty")
        try:
            decision = party.decide(script)
            if isinstance(decision, LoadSession):
                decision = await party.look_up(script)
        except LoginRequired:
            return "nobody"
        jar.take(cookie for cookie in decision.set_cookies if "assertion" not in cookie.name)
        if decision.touch is not None:
            await party.touch(script, decision.touch)
        return "written" if decision.touch or len(decision.set_cookies) > 1 else "in use"

    said = []
    for after in (10, 49, 60, 70, 119, 120, 3719, 3720 + 3600):
        now[0] = NOW + after
        said.append(await ask())
    assert said == [
        "in use",
        "in use",
        "written",
        "in use",
        "in use",
        "written",
        "written",
        "nobody",
    ]


# -- the key ring turns ----------------------------------------------------------------------------

BEFORE, BETWEEN, AFTER = (
    replace(APP, ring=KeyRing.of([letter * 40 for letter in ring]))
    for ring in ((b"a",), (b"b", b"a"), (b"b",))
)


async def use(sessions, app, jar: Jar, now: int) -> None:
    """A request that goes on, with what follows its answer."""
    party, asked = RelyingParty({"app": app}, {}, sessions, lambda: now), jar.request()
    decision = party.decide(asked)
    if isinstance(decision, LoadSession):
        decision = await party.look_up(asked)
    jar.take(cookie for cookie in decision.set_cookies if "assertion" not in cookie.name)
    if decision.touch is not None:
        await party.touch(asked, decision.touch)


@pytest.mark.attack("COOK-19")
async def test_what_is_used_while_the_ring_turns_outlives_the_old_key_and_the_rest_is_no_session(
    sessions, jar
):
    idle = Jar()
    await begin(sessions, jar, session(b"1"), app=BEFORE)
    await begin(sessions, idle, session(b"2"), app=BEFORE)
    assert (await find(sessions, jar, app=BETWEEN)).outdated
    await use(sessions, BETWEEN, jar, NOW + 1)
    found = await find(sessions, jar, NOW + 2, AFTER)
    assert found == session(b"1", touched=NOW + 1) and not found.outdated
    assert await find(sessions, idle, NOW + 2, AFTER) is None
    # it is found by its user as ever
    assert await sessions.end_tagged(
        subject_tags(AFTER.ring, ISSUER, "alice"), NOW + 2, NOW + 43_200
    ) in (1, None)
    assert await find(sessions, jar, NOW + 2, AFTER) is None


async def test_a_session_whose_lock_another_has_is_sealed_anew_at_its_next_use(opener, jar):
    sessions = StoredSessions(opener())
    await begin(sessions, jar, session(), app=BEFORE)
    assert await sessions.lock(session(), b"refreshing", 60, NOW)
    await use(sessions, BETWEEN, jar, NOW + 1)
    assert (await find(sessions, jar, NOW + 1, BETWEEN)).outdated and await find(
        sessions, jar, NOW + 1, AFTER
    ) is None
    await sessions.unlock(session(), b"refreshing")
    await use(sessions, BETWEEN, jar, NOW + 2)
    assert await find(sessions, jar, NOW + 2, AFTER) == session(touched=NOW + 2)
    record = await sessions.store.get(session().id.key, NOW + 2)
    assert open_entry(AFTER.ring, record.key, record.index).device == DEVICE
    await sessions.aclose()


# -- what is in a store ----------------------------------------------------------------------------


@pytest.mark.threat("stolen-store")
async def test_the_index_of_a_record_opens_without_its_cookie_and_the_rest_does_not(opener, jar):
    sessions = StoredSessions(opener())
    await begin(sessions, jar, session())
    (found,) = await sessions.store.tagged(subject_tags(RING, ISSUER, "alice")[0], NOW)
    assert await sessions.store.tagged(sid_tags(RING, ISSUER, "at the provider")[0], NOW) == (
        found,
    )
    record = await sessions.store.get(found.key, NOW)
    assert record is not None and found == replace(record, sealed=b"")
    assert open_entry(RING, record.key, record.index) == IndexEntry(
        "app", ISSUER, "alice", "at the provider", NOW, DEVICE
    )
    assert open_entry(RING, b"another record's key", record.index) is None
    whole = record.sealed + record.index + b"".join(record.tags)
    assert b"alice" not in whole and SessionId.of(b"s" * 32).value.encode() not in whole
    await sessions.aclose()


async def test_switching_from_cookies_to_a_store_leaves_no_cookie_behind(opener, jar):
    cookies, stored = CookieSessions(MemoryRevocations()), StoredSessions(opener())
    noise = (
        "".join(chr(33 + n * n * n % 89) for n in range(8000)).replace('"', "x").replace("\\", "y")
    )
    await begin(cookies, jar, session(access_token=noise[::3] + noise[::-1]))
    assert await find(stored, jar) is None
    await begin(stored, jar, session(b"2"))
    assert list(jar.held) == ["__Host-extproc-session-app"] and await find(stored, jar) == session(
        b"2"
    )
    await stored.aclose()
